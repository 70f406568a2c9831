"""Compare finished files with the store: which become jobs, which are failed files brought back, which are skipped.

Everything here runs on the store's thread, in one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from lalald.config import Inbox
from lalald.filesystem.names import printable
from lalald.inbox import new_files
from lalald.inbox.explanation import CHANGED_SKIP, EMPTY, EXISTING_SKIP, WAS_THERE, Choice, skips_changed
from lalald.inbox.readiness import FinishedFile
from lalald.jobs import transitions
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Discarded
from lalald.jobs.states import Hold, State
from lalald.store import FailedFile, KnownFile, NewFile, SkipReason


class ReconcileStore(Protocol):
    """The part of the store that is needed here."""

    def known_at(self, inbox: str, paths: Sequence[str]) -> dict[str, KnownFile]: ...
    def add_files(self, found: Sequence[NewFile], now: float) -> list[int | None]: ...
    def forget(self, inbox: str, paths: Sequence[str]) -> None: ...
    def possible_returns(self, inbox: str, size: int) -> list[FailedFile]: ...
    def job(self, job_id: int) -> Job | None: ...
    def save(self, before: Job, after: Job) -> Job: ...
    def held_under_other_name(self, inbox: str, file: FinishedFile) -> Job | None: ...
    def resume_returned(self, job_id: int, found: NewFile, now: float) -> None: ...


class MatchedFile(NamedTuple):
    """A finished file and what the rules decide about it.

    `existing`: take, hold or skip if it was there before the first scan. `duration`: seconds. `renamed_from`: the held job whose file
    it was under another name, 0 if there is none, None if that was not compared yet.
    """

    finished: FinishedFile
    choice: Choice
    existing: str | None = None
    duration: float | None = None
    sha256: str | None = None
    renamed_from: int | None = None


class CreatedJob(NamedTuple):
    """`paid_before`: the job that was paid for an earlier content of the file."""

    job_id: int
    file: MatchedFile
    paid_before: int | None


class ReturnedJob(NamedTuple):
    """A failed job as it was, and its file, which was moved back into the inbox."""

    job: Job
    file: MatchedFile


class RenamedFile(NamedTuple):
    """A file, and the held job whose file it may be under a new name: if the job's own path is gone."""

    file: MatchedFile
    job: Job


class SkippedFile(NamedTuple):
    path: str
    reason: str


@dataclass(slots=True)
class Reconciliation:
    """What was decided. `unhashed` files may be failed files brought back, which only their content can tell; a second look at those
    and at `maybe_renamed` decides."""

    created: list[CreatedJob] = field(default_factory=list)
    returned: list[ReturnedJob] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    unhashed: list[MatchedFile] = field(default_factory=list)
    maybe_renamed: list[RenamedFile] = field(default_factory=list)


def reconcile(
    store: ReconcileStore, inbox: Inbox, files: Iterable[MatchedFile], gone: Sequence[str], hold_reason: str, now: float
) -> Reconciliation:
    """Forget the files that are gone, then decide about each of the others, all in one transaction."""
    key = str(inbox.path)
    store.forget(key, gone)
    files = list(files)
    known = store.known_at(key, [file.finished.path for file in files])
    result = Reconciliation()
    new: list[tuple[NewFile, MatchedFile]] = []
    for file in files:
        before = known.get(file.finished.path)
        if before is None or (before.size, before.mtime_ns) != (file.finished.size, file.finished.mtime_ns):
            row = _decide(store, inbox, file, before, result, hold_reason, now)
            new += [] if row is None else [(row, file)]
    for (row, file), job_id in zip(new, store.add_files([row for row, _ in new], now), strict=True):
        if job_id is not None:
            result.created.append(CreatedJob(job_id, file, _paid_before(store, known.get(row.path))))
        elif row.path not in known or known[row.path].skip_reason is not row.skip_reason:  # else it was reported before
            result.skipped.append(SkippedFile(row.path, row.note or ""))
    return result


def _paid_before(store: ReconcileStore, before: KnownFile | None) -> int | None:
    job = None if before is None or before.job_id is None else store.job(before.job_id)
    return job.id if job is not None and job.paid else None


def _decide(
    store: ReconcileStore,
    inbox: Inbox,
    file: MatchedFile,
    before: KnownFile | None,
    result: Reconciliation,
    hold_reason: str,
    now: float,
) -> NewFile | None:
    """The row of a file that is new or has new content; None if it is another job's, or needs a second look, or is the emptied
    file of a job, which notices that before it spends anything."""
    if skips_changed(inbox, before):
        return new_files.skipped(inbox, file.finished, SkipReason.CHANGED, CHANGED_SKIP)
    if file.finished.size == 0:
        return None if before is not None and before.job_id is not None else _empty_row(inbox, file)
    if file.renamed_from is None and (held := store.held_under_other_name(str(inbox.path), file.finished)) is not None:
        result.maybe_renamed.append(RenamedFile(file, held))
        return None
    if _returns(store, inbox, file, result, now):
        return None
    return _new_row(inbox, _discard_unpaid(store, before, file, now), hold_reason)


def _discard_unpaid(store: ReconcileStore, before: KnownFile | None, file: MatchedFile, now: float) -> MatchedFile:
    """End an unpaid job, held or failed, whose file has other content or another name now: it would wait for nothing.

    The new job inherits the hold of the first scan.
    """
    job_id = file.renamed_from or (before.job_id if before is not None else None)
    old = None if job_id is None else store.job(job_id)
    if old is None or old.paid or old.moved_to is not None:
        return file
    if old.state is State.FAILED and old.archived:
        words = f"{old.error} The file has other content now, which is a new job."
        store.save(old, replace(transitions.abandon(old, now), error=words))
    elif old.state is State.HELD and old.source_id is None:
        renamed = f"is {printable(file.finished.path)} now"
        what = renamed if file.renamed_from else "changed before anything was spent on it"
        store.save(old, transitions.apply_outcome(old, Discarded(f"the file {what}"), now))
        return file._replace(existing="hold") if old.hold is Hold.FIRST_SCAN else file
    return file


def _new_row(inbox: Inbox, file: MatchedFile, hold_reason: str) -> NewFile:
    rule = file.choice.rule
    was_there = file.existing is not None
    if file.existing == "skip":
        return new_files.skipped(inbox, file.finished, SkipReason.EXISTING, EXISTING_SKIP, found_at_first_scan=True)
    if rule is None:
        note = f"{file.choice.reason}; {WAS_THERE}" if was_there else file.choice.reason
        return new_files.skipped(inbox, file.finished, SkipReason.NO_RULE, note, found_at_first_scan=was_there)
    if file.existing == "hold":
        return new_files.processed(
            inbox, file.finished, rule, hold=Hold.FIRST_SCAN, hold_reason=hold_reason, duration=file.duration
        )
    return new_files.processed(inbox, file.finished, rule)


def _empty_row(inbox: Inbox, file: MatchedFile) -> NewFile:
    was_there = file.existing is not None
    return new_files.skipped(inbox, file.finished, SkipReason.EMPTY, EMPTY, found_at_first_scan=was_there)


def _returns(store: ReconcileStore, inbox: Inbox, file: MatchedFile, result: Reconciliation, now: float) -> bool:
    """Whether the file is one that failed before, moved back under any name; or may be, which its content will tell."""
    failed = store.possible_returns(str(inbox.path), file.finished.size)
    name = os.path.basename(file.finished.path)
    failed.sort(key=lambda old: os.path.basename(old.moved_to or "") != name)  # the same name first, if several fit
    job_id = next((old.job_id for old in failed if _is_same(old, file)), None)
    job = None if job_id is None else store.job(job_id)
    if job is not None:
        store.resume_returned(job.id, _returned_row(inbox, file), now)
        result.returned.append(ReturnedJob(job, file))
        return True
    if file.sha256 is None and any(old.sha256 is not None for old in failed):
        result.unhashed.append(file)
        return True
    return False


def _returned_row(inbox: Inbox, file: MatchedFile) -> NewFile:
    if file.choice.rule is None:
        return new_files.skipped(inbox, file.finished, SkipReason.NO_RULE, file.choice.reason)
    return new_files.processed(inbox, file.finished, file.choice.rule)


def _is_same(old: FailedFile, file: MatchedFile) -> bool:
    """Sizes are equal. Inode numbers are reused and mtimes are copied: if the content is known, one of them is not enough."""
    same_inode, same_mtime = old.inode == file.finished.inode, old.mtime_ns == file.finished.mtime_ns
    if old.sha256 is None:
        return same_inode or same_mtime
    return (same_inode and same_mtime) or file.sha256 == old.sha256
