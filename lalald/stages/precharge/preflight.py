"""What is tried before a charge: that results can be put in place, and that the source can leave its place.

A trial that succeeded counts for ten minutes, for its folders as they are mounted now; a failure of any job there ends that.
"""

from __future__ import annotations

import os
import select
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lalald.archive.source_paths import source_folder, source_path
from lalald.clock import Clock
from lalald.errors import FileError, FolderPermissionError, FolderUnavailableError
from lalald.filesystem import renaming
from lalald.filesystem.file_protection import check_movable
from lalald.filesystem.files import translate_errors
from lalald.filesystem.known_folders import KnownFolders
from lalald.filesystem.mount_pools import MountPools
from lalald.filesystem.mounts import MOUNTINFO, mounts_above
from lalald.jobs.job import Hold, Job
from lalald.outbox import template
from lalald.outbox.placement_probe import try_placement
from lalald.presets import expected_labels
from lalald.stages.precharge.source_probe import Target, leaves_its_place, targets, try_source_moves

_COUNTS_SECONDS = 600.0
_REMEMBERED_AT_MOST = 10_000
_FRESH_SECONDS = 10.0  # of a look at a done or failed folder elsewhere


@dataclass(frozen=True, slots=True)
class PlacementTrial:
    """Results are put into a folder of an outbox, overwriting others or not."""

    outbox: str
    folder: str
    overwrites: bool

    @property
    def folders(self) -> tuple[str, ...]:
        return (self.outbox,)

    def __call__(self, _folders: object) -> None:
        _undisturbed(partial(try_placement, self.outbox, self.folder, overwrites=self.overwrites))


@dataclass(frozen=True, slots=True)
class SourceTrial:
    """A file leaves a folder of an inbox for others."""

    inbox: str
    folder: str
    places: tuple[Target, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.inbox, *(root for root, _ in self.places))))

    def __call__(self, _folders: object) -> None:
        if not os.path.isdir(self.folder) and os.path.isdir(self.inbox):
            return  # it is gone with the file, as the stage itself will find
        with translate_errors(self.folder, self.inbox):
            _undisturbed(partial(try_source_moves, self.folder, self.places))


def _undisturbed(attempt: Callable[[], None]) -> None:
    """Another lalald that begins a trial in the same folder takes ours for litter: then once more."""
    try:
        attempt()
    except FolderUnavailableError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        attempt()


Trial = PlacementTrial | SourceTrial
Need = tuple[Callable[[Any], Awaitable[object]], Hashable]  # a look that raises FileError, and what it looks at


@dataclass(frozen=True, slots=True)
class _Success:
    at: float  # by the monotonic clock
    mounts: tuple[tuple[bytes, ...], ...]
    table: int  # the generation of the table of mounts in which these were found


class MountTable:
    """Counts the changes of the table of mounts, by one system call a question."""

    def __init__(self) -> None:
        self.generation = 0
        self._poll = select.poll()
        self._table: int | None = None
        with suppress(OSError):
            self._table = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._table, select.POLLPRI)
            self._poll.poll(0)

    def __del__(self) -> None:
        if self._table is not None:
            os.close(self._table)

    def now(self) -> int:
        """The generation: another number after each change."""
        if self._table is None or self._poll.poll(0):
            self.generation += 1
        return self.generation


class Preflight:
    """One for the daemon, on its event loop."""

    def __init__(self, disks: MountPools, clock: Clock, folders: KnownFolders) -> None:
        self._disks = disks
        self._clock = clock
        self._folders = folders
        self._table = MountTable()
        self._succeeded: dict[Trial, _Success] = {}

    async def check(self, job: Job) -> None:
        """Raises FolderPermissionError, FolderUnavailableError, DiskFullError, FileError where the job must not be charged."""
        for look, what in [*self.outbox_checks(job), *self.source_checks(job)]:
            await look(what)

    def outbox_checks(self, job: Job) -> list[Need]:
        """What shows that results can be put where this job's will go."""
        outbox, overwrites = job.settings.outbox, job.settings.on_conflict == "overwrite"
        return [(self.attempt, PlacementTrial(outbox, folder, overwrites)) for folder in sorted(_result_folders(job))]

    def source_checks(self, job: Job) -> list[Need]:
        """What shows that the job's source can be moved or deleted, as the rule says; where it is kept, nothing is asked."""
        if not leaves_its_place(job):
            return []
        places, path = targets(job), source_path(job)
        elsewhere = {root for root, _ in places if root != job.inbox}
        return [
            *((self._check_folder, root) for root in sorted(elsewhere)),
            (self.attempt, SourceTrial(source_folder(job), os.path.dirname(path), places)),
            (self._check_source, (source_folder(job), path)),
        ]

    async def _check_folder(self, root: str) -> None:
        await self._folders.check(root, fresh_seconds=_FRESH_SECONDS)

    async def _check_source(self, source: tuple[str, str]) -> None:
        folder, path = source
        await self._disks.run(folder, _check_may_take, path, folder)

    async def attempt(self, trial: Trial) -> None:
        """Tries it, unless it succeeded a short time ago. Raises FileError."""
        if self._counts(trial):
            return
        try:
            await self._disks.run_shared(trial.folders, trial)
        except FileError:
            self._succeeded.pop(trial, None)
            raise
        if len(self._succeeded) >= _REMEMBERED_AT_MOST:
            self._succeeded.clear()
        self._succeeded[trial] = _Success(self._clock.monotonic(), _mounts(trial), self._table.now())

    def _counts(self, trial: Trial) -> bool:
        before = self._succeeded.get(trial)
        if before is None or self._clock.monotonic() - before.at >= _COUNTS_SECONDS:
            return False
        table = self._table.now()
        if before.table != table:
            if _mounts(trial) != before.mounts:
                renaming.forget_methods()
                return False
            self._succeeded[trial] = replace(before, table=table)
        return True

    def invalidate(self, job: Job) -> None:
        """Something failed in one of the job's folders: what was tried there is tried again before the next charge."""
        failed = {job.settings.outbox, job.inbox, source_folder(job)}
        self._succeeded = {
            trial: success for trial, success in self._succeeded.items() if failed.isdisjoint(trial.folders)
        }

    def invalidate_all(self) -> None:
        """Somebody says that something has changed."""
        self._succeeded.clear()
        renaming.forget_methods()


def hold_for(error: FileError) -> Hold:
    """What a job waits for that met the error."""
    if isinstance(error, FolderPermissionError):
        return Hold.PERMISSION
    return Hold.MOUNT if isinstance(error, FolderUnavailableError) else Hold.DISK


def _mounts(trial: Trial) -> tuple[tuple[bytes, ...], ...]:
    """The mounts that hold the folders, and those within them that are touched."""
    within = [os.path.join(trial.outbox, trial.folder)] if isinstance(trial, PlacementTrial) else [trial.folder]
    return tuple(tuple(mounts_above(folder)) for folder in (*trial.folders, *within))


def _check_may_take(path: str, inbox: str) -> None:
    with translate_errors(path, inbox), suppress(FileNotFoundError):  # the next look says that it is gone
        check_movable(path)


def _result_folders(job: Job) -> set[str]:
    """Before the split by the labels that are expected."""
    labels = [label for task in job.tasks for _, label in expected_labels(task.mode, task.presets)]
    return template.result_folders(job, labels)
