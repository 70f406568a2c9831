"""A close look at some files, in a worker thread: is each one finished, and what do the rules say of it?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lalald import files as disk
from lalald.config import Inbox
from lalald.inbox.accounts import Chosen
from lalald.inbox.explain import choose, refusal
from lalald.inbox.first_look import FirstLook
from lalald.inbox.settle import Settling
from lalald.jobs import Job
from lalald.media.durations import local_duration

PRICING_SECONDS = 10.0  # of reading durations at the first scan; `lalald plan` reads the rest when it is asked


@dataclass(slots=True)
class Looked:
    """Finished files with their rules, files that are not there, and files that cannot be read."""

    chosen: list[Chosen] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    troubled: list[tuple[str, OSError]] = field(default_factory=list)


class Eyes:
    """Looks at the files of one inbox. One look at a time."""

    def __init__(self, inbox: Inbox, settling: Settling, monotonic: Callable[[], float]) -> None:
        self.inbox = inbox
        self.settling = settling
        self.first: FirstLook | None = None
        self._monotonic = monotonic
        self._pricing_seconds_left = PRICING_SECONDS

    def sift(self, paths: Sequence[str]) -> list[str]:
        """Those that are not refused by name, place or `ignore`, and do not wait already."""
        kept = [path for path in paths if path not in self.settling and refusal(self.inbox, path) is None]
        if self.first is not None and not self.first.all_seen:
            self._count(self.first, kept)
        return kept

    def _count(self, first: FirstLook, paths: Sequence[str]) -> None:
        for path in filter(first.is_old, paths):
            if first.counting and choose(self.inbox, path).rule is not None:
                first.eligible += 1

    def look(self, paths: Sequence[str]) -> Looked:
        """Looks at each file that is not refused."""
        wanted = [path for path in paths if path in self.settling or refusal(self.inbox, path) is None]
        found = self.settling.look(wanted, self._monotonic())
        looked = Looked(absent=found.absent, troubled=found.troubled)
        for sight in found.ready:
            choice = choose(self.inbox, sight.path)
            existing = self.first.fate(sight.path) if self.first is not None else None
            counts = existing is not None and choice.rule is not None
            duration = self._duration(sight.path) if counts and existing != "skip" else None
            looked.chosen.append(Chosen(sight, choice, existing, duration))
        return looked

    def _duration(self, path: str) -> float | None:
        if self._pricing_seconds_left <= 0:
            return None
        began = self._monotonic()
        seconds = local_duration(os.path.join(self.inbox.path, path))
        self._pricing_seconds_left -= self._monotonic() - began
        return seconds

    def read(self, files: Sequence[Chosen]) -> list[Chosen]:
        """The files with the digest of their content. Raises OSError."""
        return [file._replace(sha256=disk.sha256_of(os.path.join(self.inbox.path, file.sight.path))) for file in files]

    def tell_renamed(self, files: Sequence[tuple[Chosen, Job]]) -> list[Chosen]:
        """The files, each with the held job whose file it was, if that is not in its old place any more."""
        told = []
        for file, job in files:
            is_gone = not os.path.lexists(os.path.join(self.inbox.path, job.path))
            told.append(file._replace(was=job.id, duration=job.duration) if is_gone else file._replace(was=0))
        return told
