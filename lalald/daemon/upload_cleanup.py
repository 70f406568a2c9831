"""Uploads of the page that were not touched for a day: their parts and rows go, and parts that no upload has."""

from __future__ import annotations

import asyncio
from functools import partial

from lalald.errors import LalaldError
from lalald.filesystem.confined import upload_parts
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.page import upload_rows
from lalald.store.page.upload_rows import Upload

KEPT_SECONDS = 86400.0
_KEPT_WITHOUT_ROW_SECONDS = 3600.0  # far more than an upload takes to begin
_LEAST_PAUSE_SECONDS = 1.0
_RETRY_SECONDS = 3600.0


async def remove_abandoned_uploads(context: StageContext) -> None:
    """Each when its day is over; in inboxes that are not there, later. An upload that begins meanwhile has a day of its own."""
    while True:
        now = context.clock.now()
        left = [one.touched_at for one in await _remove_expired(context, now - KEPT_SECONDS)]
        await _remove_parts_without_row(context, now - _KEPT_WITHOUT_ROW_SECONDS)
        waits = [at + KEPT_SECONDS - now if at + KEPT_SECONDS > now else _RETRY_SECONDS for at in left]
        await asyncio.sleep(max(_LEAST_PAUSE_SECONDS, min([KEPT_SECONDS, *waits])))


async def _remove_expired(context: StageContext, before: float) -> list[Upload]:
    """Those that are left."""
    open_ones = await context.store.run(_uploads)
    return [one for one in open_ones if one.touched_at >= before or not await _remove(one, context)]


async def _remove_parts_without_row(context: StageContext, before: float) -> None:
    known = {one.id for one in await context.store.run(_uploads)}
    for inbox in context.config.inboxes:
        try:
            removed = await context.disks.run(
                str(inbox.path), upload_parts.remove_forgotten, str(inbox.path), known, before
            )
        except (OSError, LalaldError):
            continue
        if removed:
            context.log.info("uploads.removed", inbox=str(inbox.path), parts=len(removed))


async def _remove(one: Upload, context: StageContext) -> bool:
    try:
        await context.disks.run(one.inbox, upload_parts.remove_part, one.inbox, one.id)
    except (OSError, LalaldError) as error:
        context.log.warning("upload.not_removed", inbox=one.inbox, path=one.path, reason=str(error))
        return False
    await context.store.run(partial(_forget, one.id))
    context.log.info("upload.abandoned", inbox=one.inbox, path=one.path, size=one.size, arrived=one.offset)
    return True


def _uploads(store: Store) -> list[Upload]:
    return upload_rows.uploads(store.connection)


def _forget(upload_id: str, store: Store) -> None:
    upload_rows.remove_upload(store.connection, upload_id)
