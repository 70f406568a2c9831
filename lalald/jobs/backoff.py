"""How long a retry waits: exponential backoff with full jitter."""

from __future__ import annotations

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0


def backoff_seconds(attempts: int, jitter: float) -> float:
    """Exponential with full jitter, 1 s to 5 min; `jitter` is drawn from 0 to 1 by the caller."""
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(attempts, 16))
    return max(FIRST_BACKOFF_SECONDS / 2, ceiling * jitter)
