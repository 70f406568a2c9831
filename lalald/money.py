"""What a task will cost, estimated before anything is sent: the source's duration × stems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lalald.presets import stems


def minutes(duration_seconds: float, mode: str, presets: Mapping[str, Any]) -> float:
    """Minutes that a task of this mode costs. An estimate: the service documents only multistem's price."""
    return duration_seconds / 60.0 * stems(mode, presets)
