"""Whether a file is finished, as far as a single check can tell, by the rules of `settle`: for explanations and prices."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from lalald.config import Inbox
from lalald.inbox.readiness import UNRELIABLE_SECONDS, Writers, writers_of
from lalald.inbox.scanning.watch_mode import choose_mode


@dataclass(frozen=True, slots=True)
class WritingState:
    """`is_open`: whether a program has it open for writing; None if that is unknown.

    `unchanged_seconds`: for how long it has not changed; `needed_seconds`: for how long it must not change.
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
    """Whether the kernel knows every program that writes in this inbox; false if other machines may write."""
    return choose_mode(inbox).leases_reliable


def writing_state(inbox: Inbox, path: str, now: float, *, leases: bool) -> WritingState | None:
    """The state of the file at an absolute path; None if it is not a file or cannot be examined.

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
