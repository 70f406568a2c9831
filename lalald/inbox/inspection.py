"""A close look at some files, in a worker thread: is each one finished, and what do the rules say of it?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lalald.config import Inbox
from lalald.inbox.first_scan import FirstScan
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.readiness import FinishedFile, Settling
from lalald.inbox.reconcile import MatchedFile
from lalald.jobs.job import Job
from lalald.jobs.unexpected_errors import is_exhaustion

Answer = TypeVar("Answer")
Faults = list[tuple[str, Exception]]

PRICING_SECONDS = 10.0  # of reading durations at the first scan; `lalald plan` reads the rest when it is asked


@dataclass(slots=True)
class Looked:
    """Finished files with their rules, files that are not there, and files that cannot be read."""

    chosen: list[MatchedFile] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    troubled: list[tuple[str, OSError]] = field(default_factory=list)
    faulted: list[tuple[str, Exception]] = field(default_factory=list)  # by what nobody foresaw


class FileInspector:
    """Looks at the files of one inbox. One look at a time."""

    def __init__(
        self,
        inbox: Inbox,
        settling: Settling,
        monotonic: Callable[[], float],
        steps: InspectionSteps,
        fate_again: Callable[[str], str | None],
    ) -> None:
        """`fate_again`: take, hold or skip, for an old file that was set aside while the first scan lasted."""
        self.inbox = inbox
        self._steps = steps
        self._fate_again = fate_again
        self.settling = settling
        self.first: FirstScan | None = None
        self._monotonic = monotonic
        self._pricing_seconds_left = PRICING_SECONDS

    def sift(self, paths: Sequence[str]) -> tuple[list[str], Faults]:
        """Those that are not refused by name, place or `ignore`, and do not wait already; and those at which that cannot be told."""
        faults: Faults = []
        first = self.first if self.first is not None and not self.first.all_seen else None

        def is_kept(path: str) -> bool:
            is_wanted = path not in self.settling and self._steps.refusal(self.inbox, path) is None
            if is_wanted and first is not None and first.is_old(path) and first.counting:
                first.eligible += self._steps.choose(self.inbox, path).rule is not None
            return is_wanted

        kept = _each(paths, is_kept, faults)
        return [path for path, is_wanted in kept if is_wanted], faults

    def look(self, paths: Sequence[str]) -> Looked:
        """Looks at each file that is not refused. Raises what tells that memory or descriptors ran out."""
        looked = Looked()

        def is_wanted(path: str) -> bool:
            return path in self.settling or self._steps.refusal(self.inbox, path) is None

        wanted = [path for path, is_one in _each(paths, is_wanted, looked.faulted) if is_one]
        found = self.settling.look(wanted, self._monotonic())
        looked.absent, looked.troubled = found.absent, found.troubled
        looked.faulted += found.faulted
        sights = {sight.path: sight for sight in found.ready}
        chosen = _each(list(sights), lambda path: self._chosen(sights[path]), looked.faulted)
        looked.chosen = [file for _, file in chosen]
        return looked

    def _chosen(self, sight: FinishedFile) -> MatchedFile:
        choice = self._steps.choose(self.inbox, sight.path)
        existing = self.first.fate(sight.path) if self.first is not None else None
        existing = existing or self._fate_again(sight.path)
        is_priced = existing not in (None, "skip") and choice.rule is not None
        duration = self._duration(sight) if is_priced else None
        return MatchedFile(sight, choice, existing, duration)

    def _duration(self, sight: FinishedFile) -> float | None:
        if self._pricing_seconds_left <= 0:
            return None
        began = self._monotonic()
        path = os.path.join(self.inbox.path, sight.path)
        length = self._steps.inspections.measure(path, sight.size, sight.mtime_ns)
        self._pricing_seconds_left -= self._monotonic() - began
        return length.seconds

    def read(self, files: Sequence[MatchedFile]) -> Looked:
        """The files with the digest of their content."""
        by_path = {file.sight.path: file for file in files}

        def hashed(path: str) -> MatchedFile:
            return by_path[path]._replace(sha256=self._steps.sha256(os.path.join(self.inbox.path, path)))

        looked, faults = Looked(), Faults()
        looked.chosen = [file for _, file in _each(list(by_path), hashed, faults)]
        for path, error in faults:
            if isinstance(error, OSError):
                looked.troubled.append((path, error))
            else:
                looked.faulted.append((path, error))
        return looked

    def tell_renamed(self, files: Sequence[tuple[MatchedFile, Job]]) -> Looked:
        """The files, each with the held job whose file it was, if that is not in its old place any more."""
        by_path = {file.sight.path: (file, job) for file, job in files}

        def told(path: str) -> MatchedFile:
            file, job = by_path[path]
            is_gone = not os.path.lexists(os.path.join(self.inbox.path, job.path))
            return file._replace(was=job.id, duration=job.duration) if is_gone else file._replace(was=0)

        looked = Looked()
        looked.chosen = [file for _, file in _each(list(by_path), told, looked.faulted)]
        return looked


def _each(
    paths: Sequence[str], look: Callable[[str], Answer], faults: list[tuple[str, Exception]]
) -> list[tuple[str, Answer]]:
    """What is found at each; where a look fails in a way that nobody foresaw, the others have their turn."""
    found = []
    for path in paths:
        try:
            found.append((path, look(path)))
        except Exception as error:
            if is_exhaustion(error):
                raise
            faults.append((path, error))
    return found
