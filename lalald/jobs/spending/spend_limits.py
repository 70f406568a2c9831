"""Compare minutes with a limit, and tell when the day began to which `per_day` applies."""

from __future__ import annotations

import time

_ROUNDING = 1e-6  # minutes: the error of sums of tenths


def exceeds(minutes: float, limit: float) -> bool:
    """Whether these minutes are above a limit by more than a rounding error."""
    return minutes > limit + _ROUNDING


def midnight(now: float) -> float:
    """The start of the local day, in epoch seconds, also on days with a clock change."""
    today = time.localtime(now)
    return time.mktime((today.tm_year, today.tm_mon, today.tm_mday, 0, 0, 0, 0, 0, -1))
