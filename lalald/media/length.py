"""What is known of a file's length before the service has measured it."""

from __future__ import annotations

from typing import NamedTuple


class Length(NamedTuple):
    """Seconds where the container states them reliably, else None. `at_least`: what the bytes take at the format's highest bit rate."""

    seconds: float | None
    at_least: float = 0.0


UNKNOWN = Length(None)


def agrees(one: float, other: float, slack: float = 0.0) -> bool:
    """Whether two figures for the same thing differ by less than 1 %, or by no more than `slack`."""
    return abs(one - other) <= max(0.01 * max(one, other), slack)
