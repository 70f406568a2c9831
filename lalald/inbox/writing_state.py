"""Whether a file is finished, as far as one look can tell: for explanations and prices, by the rules of `settle`."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from lalald.config import Inbox
from lalald.inbox.readiness import UNRELIABLE_SECONDS, Writers, writers_of
from lalald.inbox.scanning.watch_mode import choose_mode


@dataclass(frozen=True, slots=True)
class WritingState:
    """`is_open`: whether a program has it open for writing; None where that cannot be known.

    `unchanged_seconds`: how long it has not changed; `needed_seconds`: how long it must not have.
    """

    is_open: bool | None
    unchanged_seconds: float
    needed_seconds: float

    @property
    def remaining_seconds(self) -> float:
        """How much longer it must not change."""
        return max(0.0, self.needed_seconds - self.unchanged_seconds)

    @property
    def is_finished(self) -> bool:
        return not self.is_open and self.remaining_seconds == 0.0


def leases_reliable(inbox: Inbox) -> bool:
    """Whether the kernel knows of every program that writes in this inbox: not where other machines do."""
    return choose_mode(inbox).leases_reliable


def writing_state(inbox: Inbox, path: str, now: float, *, leases: bool) -> WritingState | None:
    """The state of the file at an absolute path; None for what is not a file, or cannot be looked at.

    The last change is the later one of mtime and ctime: a program that copies a file may set its mtime, but not its ctime.
    """
    try:
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode):
            return None
        writers = writers_of(path)[0] if leases else Writers.UNKNOWN
    except OSError:
        return None
    changed_at = max((at for at in (facts.st_mtime, facts.st_ctime) if at <= now), default=now)
    unknown = writers is Writers.UNKNOWN
    needed = max(inbox.settle, UNRELIABLE_SECONDS) if unknown else inbox.settle
    return WritingState(None if unknown else writers is Writers.SOME, now - changed_at, needed)
