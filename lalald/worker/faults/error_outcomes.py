"""Convert the errors of stages to outcomes."""

from __future__ import annotations

from collections.abc import Awaitable

from lalald.api import TransferStopped
from lalald.errors import (
    DiskFullError,
    FileError,
    FolderUnavailableError,
    LicenseRefusedError,
    LinkRefusedError,
    RefusedError,
    StagingLostError,
    TransientError,
)
from lalald.jobs.failures.failure_kinds import FailureKind, error_code, kind_of_refusal
from lalald.jobs.job import Job, describe_error
from lalald.jobs.outcomes import Advance, Failed, Held, Outcome, RetryLater
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import Hold, Stage
from lalald.stages.context import StageContext
from lalald.stages.delete import leave_to_expire
from lalald.stages.failed_downloads import link_hold_reason
from lalald.stages.precharge.preflight import hold_for
from lalald.worker.holds.license_check import LicenseCheck


async def outcome_of(
    job: Job, running: Awaitable[Outcome], context: StageContext, license_check: LicenseCheck
) -> Outcome:
    """The outcome that a stage returned, or the one that its error means."""
    try:
        return await running
    except LicenseRefusedError as error:
        return await _license(job, error, license_check)
    except FileError as error:
        context.preflight.invalidate(job)
        return _outcome_of_file_error(job, error)
    except LinkRefusedError as error:
        return Held(Hold.LINK, link_hold_reason(job, error))
    except TransferStopped:
        return RetryLater("the transfer was stopped")
    except TransientError as error:
        return RetryLater(str(error), error=error)
    except RefusedError as error:
        kind = kind_of_refusal(error_code(error.code, error.status))
        return Failed(f"the service refused it: {error}.{_money(job)}", kind=kind)


def _outcome_of_file_error(job: Job, error: FileError) -> Outcome:
    """A folder's error holds the job at once; an error with a file only if a second attempt fails, too."""
    if isinstance(error, (DiskFullError, FolderUnavailableError)):
        return Held(hold_for(error), describe_error(error), path=error.path)
    if job.attempts == 0 or isinstance(error, StagingLostError):
        return RetryLater(describe_error(error))
    return Held(Hold.DISK, describe_error(error), path=error.path)


async def _license(job: Job, error: LicenseRefusedError, license_check: LicenseCheck) -> Outcome:
    """A refusal concerns the license only if the simplest request is refused, too."""
    refused = await license_check.is_refused(error)
    if refused:
        return Held(Hold.LICENSE, f"the service refuses the license key: {error}")
    if refused is None:
        return RetryLater(str(error), error=TransientError(str(error)))
    if job.stage is Stage.DELETE:
        return leave_to_expire(job, str(error))
    return Failed(f"the service refuses this, though it accepts the license key: {error}", kind=FailureKind.KEY)


def _money(job: Job) -> str:
    return f" {cost_text(job.minutes)} minutes were charged." if job.minutes else " Nothing was charged."


def proves_service_works(before: Job, outcome: Outcome) -> bool:
    """Whether the stage completed a request to the service."""
    if not isinstance(outcome, Advance):
        return False
    match before.stage:
        case Stage.UPLOAD:
            return outcome.job.source_id is not None
        case Stage.DOWNLOAD:
            fetched = [
                track
                for task in outcome.job.tasks
                for track in task.tracks
                if track.path and not track.delivered and track.copy_from is None
            ]
            return bool(fetched)
        case _:
            return before.stage is Stage.DELETE
