"""Hold a job before it is charged if its results have no place, or its source cannot be moved."""

from __future__ import annotations

from lalald.errors import DiskFullError, FolderUnavailableError
from lalald.filesystem.files import RESERVED_FREE_BYTES
from lalald.filesystem.names import printable
from lalald.jobs.job import Job, describe_error
from lalald.jobs.outcomes import Held
from lalald.jobs.states import Hold
from lalald.stages.context import StageContext
from lalald.stages.precharge.disk_space import room_for_results
from lalald.stages.precharge.preflight import hold_for


async def hold_before_charge(job: Job, numbers: tuple[int, ...], context: StageContext) -> Held | None:
    """The hold of the tasks with these numbers, or None. Tasks that are already paid continue. Raises FileError for a retry."""
    try:
        if (held := await _hold_for_room(job, context)) is not None:
            return held
        await context.preflight.check(job)
    except (FolderUnavailableError, DiskFullError) as error:
        context.preflight.invalidate(job)
        reason = f"{describe_error(error)} Nothing was charged{' for the waiting tasks' if job.paid else ''}."
        return Held(hold_for(error), reason, tasks=numbers if job.paid else (), path=error.path)
    return None


async def _hold_for_room(job: Job, context: StageContext) -> Held | None:
    """A hold if the outbox has too little room for the results. Raises FolderUnavailableError."""
    outbox = job.settings.outbox
    free = await context.folders.check(outbox)
    needed = room_for_results(job)
    if free >= needed:
        return None
    reason = (
        f"{printable(outbox)} has {free:,} bytes free, about {needed:,} are needed, of which {RESERVED_FREE_BYTES:,} stay free;"
        " nothing is charged before there is room"
    )
    return Held(Hold.DISK, reason, path=outbox)
