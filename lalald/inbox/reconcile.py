"""Settling accounts with the store: which finished files become jobs, which come back, which are left alone. On the store's thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from lalald.config import Inbox
from lalald.filesystem.names import printable
from lalald.inbox import new_files as found
from lalald.inbox.explanation import CHANGED_SKIP, EXISTING_SKIP, WAS_THERE, Choice, leaves_changed_alone
from lalald.inbox.readiness import FinishedFile
from lalald.jobs import transitions
from lalald.jobs.job import Discarded, Hold, Job, State
from lalald.store import FailedFile, KnownFile, NewFile, SkipReason


class ReconcileStore(Protocol):
    """The part of the store that accounts are settled with."""

    def known_at(self, inbox: str, paths: Sequence[str]) -> dict[str, KnownFile]: ...
    def take(self, found: Sequence[NewFile], now: float) -> list[int | None]: ...
    def forget(self, inbox: str, paths: Sequence[str]) -> None: ...
    def failed_like(self, inbox: str, size: int) -> list[FailedFile]: ...
    def job(self, job_id: int) -> Job | None: ...
    def save(self, before: Job, after: Job) -> Job: ...
    def held_like(self, inbox: str, sight: FinishedFile) -> Job | None: ...
    def readopt(self, job_id: int, found: NewFile, now: float) -> None: ...


class MatchedFile(NamedTuple):
    """A finished file with what the rules say of it."""

    sight: FinishedFile
    choice: Choice
    existing: str | None = None  # take, hold or skip: it lay there before the first look
    duration: float | None = None
    sha256: str | None = None
    was: int | None = None  # the held job whose file it was under another name; 0: none's


@dataclass(slots=True)
class Reconciliation:
    """What became of the files. `doubtful` ones may be old failed files, only their content tells; others may be `renamed`."""

    taken: list[tuple[int, MatchedFile]] = field(default_factory=list)
    returned: list[tuple[Job, MatchedFile]] = field(default_factory=list)  # failed jobs as they were
    left_alone: list[tuple[str, str]] = field(default_factory=list)  # path, why
    doubtful: list[MatchedFile] = field(default_factory=list)
    renamed: list[tuple[MatchedFile, Job]] = field(default_factory=list)  # perhaps: if the held job's file is gone


def settle_accounts(
    store: ReconcileStore, inbox: Inbox, files: Iterable[MatchedFile], gone: Sequence[str], hold_reason: str, now: float
) -> Reconciliation:
    """Forgets what is gone, then decides about each file, all in one transaction."""
    key = str(inbox.path)
    store.forget(key, gone)
    files = list(files)
    known = store.known_at(key, [file.sight.path for file in files])
    account = Reconciliation()
    owed: list[tuple[NewFile, MatchedFile]] = []
    for file in files:
        before = known.get(file.sight.path)
        if before is not None and (before.size, before.mtime_ns) == (file.sight.size, file.sight.mtime_ns):
            continue
        if leaves_changed_alone(inbox, before):
            owed.append((found.skipped(inbox, file.sight, SkipReason.CHANGED, CHANGED_SKIP), file))
        elif file.was is None and (held := store.held_like(key, file.sight)) is not None:
            account.renamed.append((file, held))
        elif not _comes_back(store, inbox, file, account, now):
            owed.append((_decided(inbox, _superseding(store, before, file, now), hold_reason), file))
    for (fact, file), job_id in zip(owed, store.take([fact for fact, _ in owed], now), strict=True):
        if job_id is not None:
            account.taken.append((job_id, file))
        elif fact.path not in known or known[fact.path].skip_reason is not fact.skip_reason:  # else it was said before
            account.left_alone.append((fact.path, fact.note or ""))
    return account


def _superseding(store: ReconcileStore, before: KnownFile | None, file: MatchedFile, now: float) -> MatchedFile:
    """A job that nothing was paid for, held or failed, ends where its file has other content now: it would wait for nothing.

    The new one inherits the first look's hold; so does a file that has only got another name.
    """
    job_id = file.was or (before.job_id if before is not None else None)
    old = None if job_id is None else store.job(job_id)
    if old is None or old.paid or old.moved_to is not None:
        return file
    if old.state is State.FAILED and old.archived:
        words = f"{old.error} The file has other content now, which is a job of its own."
        store.save(old, replace(transitions.abandon(old, now), error=words))
    elif old.state is State.HELD and old.source_id is None:
        what = f"is {printable(file.sight.path)} now" if file.was else "changed before anything was spent on it"
        store.save(old, transitions.apply_outcome(old, Discarded(f"the file {what}"), now))
        return file._replace(existing="hold") if old.hold is Hold.FIRST_SCAN else file
    return file


def _decided(inbox: Inbox, file: MatchedFile, hold_reason: str) -> NewFile:
    rule = file.choice.rule
    if file.existing == "skip":
        return found.skipped(inbox, file.sight, SkipReason.EXISTING, EXISTING_SKIP, found_at_first_scan=True)
    if rule is None:
        was_there = file.existing is not None
        note = f"{file.choice.reason}; {WAS_THERE}" if was_there else file.choice.reason
        return found.skipped(inbox, file.sight, SkipReason.NO_RULE, note, found_at_first_scan=was_there)
    if file.existing == "hold":
        return found.taken(
            inbox, file.sight, rule, hold=Hold.FIRST_SCAN, hold_reason=hold_reason, duration=file.duration
        )
    return found.taken(inbox, file.sight, rule)


def _comes_back(store: ReconcileStore, inbox: Inbox, file: MatchedFile, account: Reconciliation, now: float) -> bool:
    """Whether the file is one that failed before, dragged back under any name; or may be, which a second look will tell."""
    failed = store.failed_like(str(inbox.path), file.sight.size)
    name = os.path.basename(file.sight.path)
    failed.sort(
        key=lambda old: os.path.basename(old.moved_to or "") != name
    )  # of several that fit the one of this name
    job_id = next((old.job_id for old in failed if _is(old, file)), None)
    job = None if job_id is None else store.job(job_id)
    if job is not None:
        rule = file.choice.rule
        back = (
            found.taken(inbox, file.sight, rule)
            if rule
            else found.skipped(inbox, file.sight, SkipReason.NO_RULE, file.choice.reason)
        )
        store.readopt(job.id, back, now)
        account.returned.append((job, file))
        return True
    if file.sha256 is None and any(old.sha256 is not None for old in failed):
        account.doubtful.append(file)
        return True
    return False


def _is(old: FailedFile, file: MatchedFile) -> bool:
    """Sizes are equal. Inode numbers are given out again and mtimes are copied: where the content is known, one of them is not enough."""
    same_inode, same_mtime = old.inode == file.sight.inode, old.mtime_ns == file.sight.mtime_ns
    if old.sha256 is None:
        return same_inode or same_mtime
    return (same_inode and same_mtime) or file.sha256 == old.sha256
