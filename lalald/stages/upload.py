"""Upload the source file. Nothing is charged at this stage."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

from lalald.api import Transfer, Uploaded
from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError, FolderUnavailableError, TransientError, UnusableAnswerError
from lalald.filesystem.names import printable
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Advance, Failed, Held, Outcome, RetryLater
from lalald.jobs.states import Hold, Stage
from lalald.jobs.task import Task
from lalald.media.durations import MAX_SECONDS
from lalald.media.inspections import CondemnedFileError, Inspections
from lalald.stages.context import StageContext
from lalald.stages.precharge.admission import admit
from lalald.stages.precharge.budget import Refusal
from lalald.stages.precharge.skip_existing import skip_if_all_exist
from lalald.stages.precharge.source_check import (
    SourceChange,
    check_source_folder,
    compare_source,
    discard_or_fail,
    sha256,
)
from lalald.stages.reuse import duplicates

MAX_UPLOAD_BYTES = 10_000_000_000  # API document: "Upload limit is 10GB per request"
_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources about a day after the upload
_MIN_KEPT_SECONDS = 600.0
_MAX_WRONG_SIZES = 4
_MAX_UNUSABLE = 10  # with their pauses some minutes: the service may be at fault for a while


async def upload(job: Job, context: StageContext) -> Outcome:
    """Upload the job's file, unless it changed, is too large, has all its results already, or is a duplicate.

    A file whose cost does not fit is held before it is sent. Raises ServiceError and FileError.
    """
    is_compared = await duplicates.needs_comparison(job, context)
    inspected = await context.disks.run(source_folder(job), _inspect, job, is_compared, context.inspections)
    if isinstance(inspected, SourceChange):
        await check_source_folder(job, context)
        return discard_or_fail(job, inspected)
    if isinstance(inspected, Failed):
        return inspected
    if (skipped := await skip_if_all_exist(inspected, context)) is not None:
        return skipped
    reused = await duplicates.reuse_results(inspected, context) if is_compared else inspected
    if not isinstance(reused, Job):
        context.budget.release_reservation(job.id)  # an earlier attempt may have reserved minutes
        return reused
    if (refusal := (await admit(reused, context)).refusal) is not None:
        return _hold_for_minutes(reused, refusal)
    return await _send(reused, source_path(reused), context)


def _hold_for_minutes(job: Job, refusal: Refusal) -> Held:
    """Tasks that reuse earlier results continue, since what they fetch expires."""
    reuses = any(task.paid_by is not None for task in job.tasks)
    numbers = tuple(task.number for task in job.tasks if _is_chargeable(task)) if reuses else ()
    return Held(Hold.MINUTES, refusal.hold_reason, job=job, tasks=numbers, source=refusal.source)


def _is_chargeable(task: Task) -> bool:
    return task.stage is Stage.SPLIT and task.error is None and task.hold is None


def _inspect(job: Job, is_compared: bool, inspections: Inspections) -> Job | SourceChange | Failed:
    """On a thread, all in one step: the job with its file's hash and length, or why it is not sent. Raises FileError."""
    path = source_path(job)
    if (change := compare_source(job)) is not None:
        return change
    if job.size > MAX_UPLOAD_BYTES:
        return Failed(
            f"{printable(path)} has {job.size:,} bytes; the service accepts up to {MAX_UPLOAD_BYTES:,}."
            " Nothing was spent. Make it smaller.",
            kind=FailureKind.TOO_LARGE,
        )
    if not os.access(path, os.R_OK):
        hint = "Check its owner and mode, then drag it back into the inbox."
        words = f"{printable(path)} cannot be read by uid {os.getuid()}. Nothing was spent. {hint}"
        return Failed(words, kind=FailureKind.UNREADABLE)
    if is_compared and job.sha256 is None:
        job = replace(job, sha256=sha256(path))
    return job if job.duration is not None else _with_length(job, path, inspections)


def _with_length(job: Job, path: str, inspections: Inspections) -> Job | Failed:
    try:
        length = inspections.measure(path, job.size, job.mtime_ns)
    except CondemnedFileError as error:
        return Failed(f"internal: {error}. Nothing was spent. {error.hint}", is_internal=True)
    return replace(job, duration=length.seconds, least_duration=length.at_least if length.seconds is None else None)


async def _send(job: Job, path: str, context: StageContext) -> Outcome:
    transfer = context.begin_transfer(job, job.size)
    try:
        uploaded = await context.disks.run_transfer(source_folder(job), _upload_file, context, path, job, transfer)
    except UnusableAnswerError as error:
        return _upload_again(job, str(error), _MAX_UNUSABLE, error)
    finally:
        context.end_transfers(job)
    return _outcome(job, uploaded, context.clock.now())


def _outcome(job: Job, uploaded: Uploaded, now: float) -> Outcome:
    if uploaded.size != job.size:
        received = "an unknown number" if uploaded.size is None else f"{uploaded.size:,}"
        return _upload_again(job, f"the service received {received} of {job.size:,} bytes", _MAX_WRONG_SIZES)
    if uploaded.duration is None or not 0 < uploaded.duration <= MAX_SECONDS:
        return _without_length(job, uploaded.reported_duration)
    return Advance(
        replace(
            job,
            source_id=uploaded.source_id,
            duration=uploaded.duration,
            expires_at=_expires_at(uploaded.expires_at, now),
            sha256=uploaded.sha256,
            upload_waived=False,
            uploads_without_figure=0,
        )
    )


def _without_length(job: Job, reported: str) -> RetryLater | Failed:
    """An impossible length has no price. The uploaded source is left to expire: nothing is charged for it."""
    words = f"the service reports a length of {reported} seconds, which is impossible"
    if job.uploads_without_figure:
        hint = "Nothing was spent. Check that it plays, convert it if it does, and drop it again."
        again = replace(job, uploads_without_figure=0)
        return Failed(f"{words}, also after a second upload. {hint}", job=again, kind=FailureKind.NO_LENGTH)
    return RetryLater(
        f"{words}: it is uploaded once more, nothing was spent", job=replace(job, uploads_without_figure=1)
    )


def _upload_again(job: Job, reason: str, limit: int, error: TransientError | None = None) -> RetryLater | Failed:
    """Another upload, until the service has answered like this `limit` times in a row. Nothing is charged either way."""
    job = replace(job, unusable_answers=job.unusable_answers + 1)
    if job.unusable_answers < limit:
        return RetryLater(f"{reason}: it is uploaded again, nothing was charged", job=job, error=error)
    hint = f"Run `lalald retry {job.id}` to upload it again."
    words = f"{reason}. It was uploaded {job.unusable_answers} times. Nothing was charged. {hint}"
    return Failed(words, job=job, kind=FailureKind.BAD_ANSWERS)


def _expires_at(reported: float | None, now: float) -> float:
    """When the service deletes the source. A time that our clock rules out is ignored: the clocks may differ, and a source that
    seems to have expired already would be uploaded again and again."""
    if reported is not None and now + _MIN_KEPT_SECONDS < reported <= now + _KEPT_SECONDS:
        return reported
    return now + _KEPT_SECONDS


def _upload_file(context: StageContext, path: str, job: Job, transfer: Transfer) -> Uploaded:
    """On a thread: send the open file under its own name. Raises FileError, ServiceError."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below, after the errors of opening are told apart
    except OSError as error:
        if error.errno in (errno.ESTALE, errno.ENOTCONN, errno.EIO):
            raise FolderUnavailableError(
                f"{printable(job.inbox)} is unavailable ({error.strerror}).",
                hint="Work resumes when it is back.",
                path=job.inbox,
            ) from error
        message = f"{printable(path)} cannot be read: {error.strerror}. Nothing was spent."
        raise FileError(message, path=path) from error
    with file:
        return context.api.upload(file, job.size, os.path.basename(job.path), transfer)
