"""The file goes to the service; nothing is charged yet."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

from lalald.api import Transfer, Uploaded
from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError, FolderUnavailableError, TransientError, UnusableAnswerError
from lalald.jobs.failure_kinds import FailureKind
from lalald.jobs.job import Advance, Discarded, Failed, Held, Hold, Job, Outcome, RetryLater, Stage, Task
from lalald.media.durations import LONGEST_SECONDS
from lalald.media.inspections import CondemnedFileError, Inspections
from lalald.stages import duplicates
from lalald.stages.context import StageContext
from lalald.stages.precharge.admission import admit
from lalald.stages.precharge.skip_existing import skip
from lalald.stages.precharge.source_check import check_its_folder, digest, gone, look

MAX_UPLOAD_BYTES = 10_000_000_000  # the document: "Upload limit is 10GB per request"
_KEPT_SECONDS = 24 * 3600.0  # the service deletes sources by itself about a day after the upload
_SHORTEST_KEPT_SECONDS = 600.0
_WRONG_SIZES_AT_MOST = 4
_UNUSABLE_AT_MOST = 10  # with their pauses some minutes: the service may be at fault for a while


async def upload(job: Job, context: StageContext) -> Outcome:
    """Uploads the job's file, unless it changed, exceeds the limit, has all its results already, or its cost does not fit.

    The last is held unsent. Raises ServiceError and FileError.
    """
    is_compared = await duplicates.may_exist(job, context)
    looked = await context.disks.run(source_folder(job), _looked_at, job, is_compared, context.inspections)
    if isinstance(looked, Discarded):
        await check_its_folder(job, context)
        return gone(job, looked.reason)
    if isinstance(looked, Failed):
        return looked
    job = looked
    if (skipped := await skip(job, context)) is not None:
        return skipped
    if is_compared:
        found = await duplicates.look(job, context)
        if not isinstance(found, Job):
            context.budget.release_reservation(job.id)  # an earlier try may have been about to pay
            return found
        job = found
    admission = await admit(job, context)
    if (refusal := admission.refusal) is not None:
        given = any(task.paid_by is not None for task in job.tasks)  # those go on: what they fetch expires
        numbers = tuple(task.number for task in job.tasks if _is_to_pay(task)) if given else ()
        return Held(Hold.MINUTES, refusal.reason, job=job, tasks=numbers, source=refusal.source)
    return await _send(job, source_path(job), context)


def _is_to_pay(task: Task) -> bool:
    return task.stage is Stage.SPLIT and task.error is None and task.hold is None


def _looked_at(job: Job, is_compared: bool, inspections: Inspections) -> Job | Discarded | Failed:
    """On a thread, all in one go: the job with what its file says of itself, or why it is not sent. Raises FileError."""
    path = source_path(job)
    if (reason := look(job)) is not None:
        return Discarded(reason)
    if job.size > MAX_UPLOAD_BYTES:
        return Failed(
            f"{path} has {job.size:,} bytes; the service takes {MAX_UPLOAD_BYTES:,} at most. Nothing was spent. Make it smaller.",
            kind=FailureKind.TOO_LARGE,
        )
    if not os.access(path, os.R_OK):
        hint = "Check its owner and mode, then drag it back into the inbox."
        return Failed(
            f"{path} cannot be read by uid {os.getuid()}. Nothing was spent. {hint}", kind=FailureKind.UNREADABLE
        )
    if is_compared and job.sha256 is None:
        job = replace(job, sha256=digest(path))
    return job if job.duration is not None else _measured(job, path, inspections)


def _measured(job: Job, path: str, inspections: Inspections) -> Job | Failed:
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
        return _again(job, str(error), _UNUSABLE_AT_MOST, error)
    finally:
        context.end_transfers(job)
    if uploaded.size != job.size:
        received = "an unknown number" if uploaded.size is None else f"{uploaded.size:,}"
        return _again(job, f"the service received {received} of {job.size:,} bytes", _WRONG_SIZES_AT_MOST)
    if uploaded.duration is None or not 0 < uploaded.duration <= LONGEST_SECONDS:
        return _without_figure(job, uploaded.told_duration)
    return Advance(
        replace(
            job,
            source_id=uploaded.source_id,
            duration=uploaded.duration,
            expires_at=_expires_at(uploaded.expires_at, context.clock.now()),
            sha256=uploaded.sha256,
            upload_waived=False,
            uploads_without_figure=0,
        )
    )


def _without_figure(job: Job, told: str) -> RetryLater | Failed:
    """A length that cannot be has no price. The source is left to expire: nothing is charged for it."""
    words = f"the service says that it lasts {told} seconds, which cannot be"
    if job.uploads_without_figure:
        hint = "Nothing was spent. Check that it plays, convert it if it does, and drop it again."
        again = replace(job, uploads_without_figure=0)
        return Failed(f"{words}, after a second upload, too. {hint}", job=again, kind=FailureKind.NO_LENGTH)
    return RetryLater(f"{words}: uploaded once more, nothing was spent", job=replace(job, uploads_without_figure=1))


def _again(job: Job, reason: str, at_most: int, error: TransientError | None = None) -> RetryLater | Failed:
    """It is sent once more, unless the service has answered so before: then it always will. Nothing is charged either way."""
    job = replace(job, unusable_answers=job.unusable_answers + 1)
    if job.unusable_answers < at_most:
        return RetryLater(f"{reason}: it is uploaded again, nothing was charged", job=job, error=error)
    again = f"`lalald retry {job.id}` uploads it again."
    words = f"{reason}. It was uploaded {job.unusable_answers} times. Nothing was charged. {again}"
    return Failed(words, job=job, kind=FailureKind.BAD_ANSWERS)


def _expires_at(told: float | None, now: float) -> float:
    """When the service forgets the source. What cannot be, by our own clock, is not believed: the clocks may differ, and a source that
    had expired before it arrived would be sent again for ever."""
    if told is not None and now + _SHORTEST_KEPT_SECONDS < told <= now + _KEPT_SECONDS:
        return told
    return now + _KEPT_SECONDS


def _upload_file(context: StageContext, path: str, job: Job, transfer: Transfer) -> Uploaded:
    """On a thread. The file's name goes along; what is read is what was looked at, or a FileError."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below, after the errors of opening are told apart
    except OSError as error:
        if error.errno in (errno.ESTALE, errno.ENOTCONN, errno.EIO):
            raise FolderUnavailableError(
                f"{job.inbox} is not there ({error.strerror}).", hint="It resumes when it is back."
            ) from error
        raise FileError(f"{path} cannot be read: {error.strerror}. Nothing was spent.") from error
    with file:
        return context.api.upload(file, job.size, os.path.basename(job.path), transfer)
