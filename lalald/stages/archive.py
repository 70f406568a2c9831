"""Archive the source file, as the last stage: move it to `done_dir` or `failed_dir`, keep it, or delete it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from lalald.archive.archiving import archive_failed_source, archive_source
from lalald.archive.source_paths import archive_root, move_roots, source_path
from lalald.jobs import transitions
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Outcome
from lalald.stages.context import StageContext
from lalald.stages.download import clear
from lalald.stages.precharge.source_check import check_inbox

Answer = TypeVar("Answer")


async def archive(job: Job, context: StageContext) -> Outcome:
    """Archive the source of a job whose results are delivered. Raises FileError."""
    await _check_target_folder(job, context)
    archived = await _run(job, context, _archived_if_present, job)
    if archived is None:
        await check_inbox(job.inbox, context)
        archived = await _run(job, context, archive_source, job)
    return Advance(archived)


def _archived_if_present(job: Job) -> Job | None:
    """On a thread. None if the file is missing: before that means anything, the inbox itself must be available."""
    return archive_source(job) if os.path.lexists(source_path(job)) else None


async def archive_failed(job: Job, context: StageContext) -> Job:
    """Move the source of a failed job to `failed_dir`, with its error note. Raises FileError."""
    await _check_target_folder(job, context)
    await clear(job, context)
    return await _run(job, context, archive_failed_source, transitions.clear_archive_error(job))


async def _run(job: Job, context: StageContext, function: Callable[..., Answer], *arguments: Any) -> Answer:
    """Between two folders the file may have to be copied: the tests before a charge do not wait for that."""
    folders = move_roots(job)
    run = context.disks.run if len(folders) == 1 else context.disks.run_transfer
    return await run(folders, function, *arguments)


async def _check_target_folder(job: Job, context: StageContext) -> None:
    """Raises FolderUnavailableError if another folder, such as an empty mount point, would receive the file."""
    if (folder := archive_root(job)) != job.inbox:
        await context.folders.check(folder)
