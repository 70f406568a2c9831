"""Test before a charge that results can be placed in the outbox and that the source can be moved.

A test that succeeded is valid for ten minutes while its folders stay mounted as they are; a failure of any job there ends that.
"""

from __future__ import annotations

import os
import select
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lalald.archive.source_paths import source_folder, source_path
from lalald.clock import Clock
from lalald.errors import FileError, FolderPermissionError, FolderUnavailableError
from lalald.filesystem import renaming
from lalald.filesystem.availability.folder_probe import check_movable
from lalald.filesystem.availability.known_folders import KnownFolders
from lalald.filesystem.files import translate_errors
from lalald.filesystem.mount_pools import MountPools
from lalald.filesystem.mounts import MOUNTINFO, mounts_above
from lalald.jobs.job import Job
from lalald.jobs.states import Hold
from lalald.media.track_labels import expected_labels
from lalald.outbox import template
from lalald.outbox.placement_probe import try_placement
from lalald.stages.precharge.source_probe import MoveTarget, is_moved_or_deleted, move_targets, try_source_moves

_VALID_SECONDS = 600.0
_MAX_REMEMBERED = 10_000
_FRESH_SECONDS = 10.0  # age of the check of a done or failed folder outside the inbox


@dataclass(frozen=True, slots=True)
class PlacementTest:
    """Results are placed in a folder of an outbox, with or without overwriting."""

    outbox: str
    folder: str
    overwrites: bool

    @property
    def folders(self) -> tuple[str, ...]:
        return (self.outbox,)

    def __call__(self, _folders: object) -> None:
        try_placement(self.outbox, self.folder, overwrites=self.overwrites)


@dataclass(frozen=True, slots=True)
class SourceMoveTest:
    """A file is moved from a folder of an inbox to the target folders."""

    inbox: str
    folder: str
    places: tuple[MoveTarget, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.inbox, *(root for root, _ in self.places))))

    def __call__(self, _folders: object) -> None:
        if not os.path.isdir(self.folder) and os.path.isdir(self.inbox):
            return  # removed with the file, which the stage itself will notice
        with translate_errors(self.folder, self.inbox):
            try_source_moves(self.folder, self.places)


FolderTest = PlacementTest | SourceMoveTest


class Check(NamedTuple):
    """An asynchronous function that raises FileError, and its argument. Equal checks need to run only once."""

    function: Callable[[Any], Awaitable[object]]
    argument: Hashable


@dataclass(frozen=True, slots=True)
class _Success:
    at: float  # monotonic seconds
    mounts: tuple[tuple[bytes, ...], ...]
    generation: int  # of the mount table when `mounts` was read


class _MountTable:
    """Counts changes of the mount table, with one system call per reading."""

    def __init__(self) -> None:
        self.generation = 0
        self._poll = select.poll()
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._descriptor, select.POLLPRI)
            self._poll.poll(0)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def current_generation(self) -> int:
        """A number that differs after each change."""
        if self._descriptor is None or self._poll.poll(0):
            self.generation += 1
        return self.generation


class Preflight:
    """One per daemon, used on its event loop."""

    def __init__(self, disks: MountPools, clock: Clock, folders: KnownFolders) -> None:
        self._disks = disks
        self._clock = clock
        self._folders = folders
        self._table = _MountTable()
        self._succeeded: dict[FolderTest, _Success] = {}

    async def check(self, job: Job) -> None:
        """Raises FolderPermissionError, FolderUnavailableError, DiskFullError or FileError if the job must not be charged."""
        for function, argument in [*self.outbox_checks(job), *self.source_checks(job)]:
            await function(argument)

    def outbox_checks(self, job: Job) -> list[Check]:
        """The checks that this job's results can be placed."""
        outbox, overwrites = job.settings.outbox, job.settings.on_conflict == "overwrite"
        folders = sorted(_result_folders(job))
        return [Check(self.attempt, PlacementTest(outbox, folder, overwrites)) for folder in folders]

    def source_checks(self, job: Job) -> list[Check]:
        """The checks that the job's source can be moved or deleted as its rule says; none if it is kept."""
        if not is_moved_or_deleted(job):
            return []
        places, path = move_targets(job), source_path(job)
        elsewhere = {root for root, _ in places if root != job.inbox}
        return [
            *(Check(self._check_folder, root) for root in sorted(elsewhere)),
            Check(self.attempt, SourceMoveTest(source_folder(job), os.path.dirname(path), places)),
            Check(self._check_source, (source_folder(job), path)),
        ]

    async def _check_folder(self, root: str) -> None:
        await self._folders.check(root, fresh_seconds=_FRESH_SECONDS)

    async def _check_source(self, source: tuple[str, str]) -> None:
        folder, path = source
        await self._disks.run(folder, _check_may_take, path, folder)

    async def attempt(self, test: FolderTest) -> None:
        """Run a test, unless it succeeded a short time ago. Raises FileError."""
        if self._is_valid(test):
            return
        try:
            await self._disks.run_shared(test.folders, test)
        except FileError:
            self._succeeded.pop(test, None)
            raise
        if len(self._succeeded) >= _MAX_REMEMBERED:
            self._succeeded.clear()
        generation = self._table.current_generation()
        self._succeeded[test] = _Success(self._clock.monotonic(), _mounts(test), generation)

    def _is_valid(self, test: FolderTest) -> bool:
        before = self._succeeded.get(test)
        if before is None or self._clock.monotonic() - before.at >= _VALID_SECONDS:
            return False
        generation = self._table.current_generation()
        if before.generation != generation:
            if _mounts(test) != before.mounts:
                renaming.forget_methods()
                return False
            self._succeeded[test] = replace(before, generation=generation)
        return True

    def invalidate(self, job: Job) -> None:
        """Forget the tests of the job's folders after a failure there, so that they run again before the next charge."""
        failed = {job.settings.outbox, job.inbox, source_folder(job)}
        self._succeeded = {
            test: success for test, success in self._succeeded.items() if failed.isdisjoint(test.folders)
        }

    def invalidate_all(self) -> None:
        """Forget every test, because a person says that something has changed."""
        self._succeeded.clear()
        renaming.forget_methods()


def hold_for(error: FileError) -> Hold:
    """The hold of a job that failed with the error."""
    if isinstance(error, FolderPermissionError):
        return Hold.PERMISSION
    return Hold.MOUNT if isinstance(error, FolderUnavailableError) else Hold.DISK


def _mounts(test: FolderTest) -> tuple[tuple[bytes, ...], ...]:
    """The mounts of the test's folders."""
    within = [os.path.join(test.outbox, test.folder)] if isinstance(test, PlacementTest) else [test.folder]
    return tuple(tuple(mounts_above(folder)) for folder in (*test.folders, *within))


def _check_may_take(path: str, inbox: str) -> None:
    with translate_errors(path, inbox), suppress(FileNotFoundError):  # the next check of the source reports it
        check_movable(path)


def _result_folders(job: Job) -> set[str]:
    """The folders of the results, by the expected labels: before the split, the tracks are not known yet."""
    labels = [label for task in job.tasks for _, label in expected_labels(task.mode, task.presets)]
    return template.result_folders(job, labels)
