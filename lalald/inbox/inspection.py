"""Inspect files, in a worker thread: is each one finished, and which rule matches it?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lalald.config import Inbox
from lalald.inbox.inspection_steps import InspectionSteps
from lalald.inbox.readiness import Fault, FinishedFile, Settling, UnreadableFile
from lalald.inbox.reconcile import MatchedFile, RenamedFile
from lalald.jobs.failures.unexpected_errors import is_exhaustion

Answer = TypeVar("Answer")

PRICING_SECONDS = 10.0  # for reading durations during the first scan; `lalald plan` reads the others


@dataclass(slots=True)
class Inspected:
    """Finished files with their rules, files that do not exist, unreadable files, and unexpected exceptions."""

    matched: list[MatchedFile] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unreadable: list[UnreadableFile] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class FileInspector:
    """Inspects the files of one inbox, one call at a time.

    `existing_action`: take, hold or skip for a file that was there before the first scan, else None. `count_existing` is called for
    each candidate that a scan finds. Both are called on the worker thread.
    """

    def __init__(
        self,
        inbox: Inbox,
        settling: Settling,
        monotonic: Callable[[], float],
        steps: InspectionSteps,
        existing_action: Callable[[str], str | None],
        count_existing: Callable[[str], None],
    ) -> None:
        self.inbox = inbox
        self.settling = settling
        self._monotonic = monotonic
        self._steps = steps
        self._existing_action = existing_action
        self._count_existing = count_existing
        self._pricing_seconds_left = PRICING_SECONDS

    def find_candidates(self, paths: Sequence[str]) -> tuple[list[str], list[Fault]]:
        """The files that are not excluded by name, place or `ignore`, and that do not wait already."""
        faults: list[Fault] = []

        def is_candidate(path: str) -> bool:
            if path in self.settling or self._steps.refusal(self.inbox, path) is not None:
                return False
            self._count_existing(path)
            return True

        return [path for path, is_wanted in _each(paths, is_candidate, faults) if is_wanted], faults

    def inspect(self, paths: Sequence[str]) -> Inspected:
        """Inspect each file that is not excluded. Raises errors that mean that memory or descriptors ran out."""
        result = Inspected()

        def is_wanted(path: str) -> bool:
            return path in self.settling or self._steps.refusal(self.inbox, path) is None

        wanted = [path for path, is_one in _each(paths, is_wanted, result.faults) if is_one]
        looked = self.settling.inspect(wanted, self._monotonic())
        result.absent, result.unreadable = looked.absent, looked.unreadable
        result.faults += looked.faults
        ready = {file.path: file for file in looked.ready}
        result.matched = [file for _, file in _each(ready, lambda path: self._match(ready[path]), result.faults)]
        return result

    def _match(self, file: FinishedFile) -> MatchedFile:
        choice = self._steps.choose(self.inbox, file.path)
        existing = self._existing_action(file.path)
        is_priced = existing not in (None, "skip") and choice.rule is not None and file.size > 0
        return MatchedFile(file, choice, existing, self._duration(file) if is_priced else None)

    def _duration(self, file: FinishedFile) -> float | None:
        if self._pricing_seconds_left <= 0:
            return None
        began = self._monotonic()
        path = os.path.join(self.inbox.path, file.path)
        length = self._steps.inspections.measure(path, file.size, file.mtime_ns)
        self._pricing_seconds_left -= self._monotonic() - began
        return length.seconds

    def hash(self, files: Sequence[MatchedFile]) -> Inspected:
        """The files with the SHA-256 of their content."""
        by_path = {file.finished.path: file for file in files}

        def hashed(path: str) -> MatchedFile:
            return by_path[path]._replace(sha256=self._steps.sha256(os.path.join(self.inbox.path, path)))

        result, faults = Inspected(), list[Fault]()
        result.matched = [file for _, file in _each(by_path, hashed, faults)]
        for fault in faults:
            if isinstance(fault.error, OSError):
                result.unreadable.append(UnreadableFile(fault.path, fault.error))
            else:
                result.faults.append(fault)
        return result

    def compare_renamed(self, files: Sequence[RenamedFile]) -> Inspected:
        """The files, each with the held job whose file it was if that one's path is gone."""
        by_path = {renamed.file.finished.path: renamed for renamed in files}

        def compared(path: str) -> MatchedFile:
            file, job = by_path[path]
            is_gone = not os.path.lexists(os.path.join(self.inbox.path, job.path))
            if is_gone:
                return file._replace(renamed_from=job.id, duration=job.duration)
            return file._replace(renamed_from=0)

        result = Inspected()
        result.matched = [file for _, file in _each(by_path, compared, result.faults)]
        return result


def _each(paths: Iterable[str], inspect: Callable[[str], Answer], faults: list[Fault]) -> list[tuple[str, Answer]]:
    """Each path with what `inspect` returned; an unexpected exception concerns that path alone."""
    answers = []
    for path in paths:
        try:
            answers.append((path, inspect(path)))
        except Exception as error:
            if is_exhaustion(error):
                raise
            faults.append(Fault(path, error))
    return answers
