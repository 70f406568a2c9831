"""A file's length as far as it is known before the service has measured it."""

from __future__ import annotations

from typing import NamedTuple


class Length(NamedTuple):
    """Seconds if the container states them reliably, else None. `at_least`: the length of the bytes at the format's highest bit rate."""

    seconds: float | None
    at_least: float = 0.0


UNKNOWN = Length(None)


def agrees(one: float, other: float, slack: float = 0.0) -> bool:
    """Whether two figures differ by at most 1 %, or by no more than `slack`."""
    return abs(one - other) <= max(0.01 * max(one, other), slack)
