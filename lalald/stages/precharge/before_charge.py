"""Results must have a place, and sources a way out of theirs, before anything is paid."""

from __future__ import annotations

from lalald.errors import DiskFullError, FolderUnavailableError
from lalald.jobs.job import Held, Hold, Job, describe_error
from lalald.stages.context import StageContext
from lalald.stages.precharge.disk_space import room_for_results
from lalald.stages.precharge.preflight import hold_for


async def held_before_the_charge(job: Job, numbers: tuple[int, ...], context: StageContext) -> Held | None:
    """What is paid already is delivered meanwhile. Raises FileError where that may pass at once."""
    try:
        if (held := await _no_room(job, context)) is not None:
            return held
        await context.preflight.check(job)
    except (FolderUnavailableError, DiskFullError) as error:
        context.preflight.invalidate(job)
        reason = f"{describe_error(error)} Nothing was charged{' for the tasks that wait' if job.paid else ''}."
        return Held(hold_for(error), reason, tasks=numbers if job.paid else ())
    return None


async def _no_room(job: Job, context: StageContext) -> Held | None:
    """Results must have a place before they are paid for. Raises FolderUnavailableError."""
    outbox = job.settings.outbox
    free = await context.folders.check(outbox)
    needed = room_for_results(job)
    if free >= needed:
        return None
    return Held(
        Hold.DISK,
        f"{outbox} has {free:,} bytes free, about {needed:,} are needed; nothing is charged before there is room",
    )
