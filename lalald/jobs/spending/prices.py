"""Estimated cost of tasks (source duration × stems), and minutes as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lalald.presets import stems

_NOISE = 1e-6  # minutes: sums of tenths are off by less


def minutes(duration_seconds: float, mode: str, presets: Mapping[str, Any]) -> float:
    """Minutes that a task of this mode costs. An estimate: the service documents only multistem's price."""
    return duration_seconds / 60.0 * stems(mode, presets)


def cost_text(minutes: float) -> str:
    """Minutes that are needed or charged, for people: rounded up to one decimal, so that only nothing is 0."""
    return f"{math.ceil((minutes - _NOISE) * 10) / 10 + 0.0:,.1f}"


def free_text(minutes: float) -> str:
    """Minutes that may be spent, for people: rounded down to one decimal, so that they are really available."""
    return f"{math.floor((minutes + _NOISE) * 10) / 10 + 0.0:,.1f}"
