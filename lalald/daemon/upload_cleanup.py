"""Uploads of the page that were not touched for a day: their parts and rows go, and parts that no upload has."""

from __future__ import annotations

from functools import partial

from lalald.errors import FileError
from lalald.filesystem.confined import upload_parts
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.page import upload_rows
from lalald.store.page.upload_rows import Upload

KEPT_SECONDS = 86400.0


async def remove_abandoned_uploads(context: StageContext) -> None:
    """In every inbox that is there; in others the next time."""
    before = context.clock.now() - KEPT_SECONDS
    open_ones = await context.store.run(_uploads)
    known = {one.id for one in open_ones}
    for one in open_ones:
        if one.touched_at < before:
            await _remove(one, context)
    for inbox in context.config.inboxes:
        try:
            removed = await context.disks.run(
                str(inbox.path), upload_parts.remove_forgotten, str(inbox.path), known, before
            )
        except (OSError, FileError):
            continue
        if removed:
            context.log.info("uploads.removed", inbox=str(inbox.path), parts=len(removed))


async def _remove(one: Upload, context: StageContext) -> None:
    try:
        await context.disks.run(one.inbox, upload_parts.remove_part, one.inbox, one.id)
    except (OSError, FileError) as error:
        context.log.warning("upload.not_removed", inbox=one.inbox, path=one.path, reason=str(error))
        return
    await context.store.run(partial(_forget, one.id))
    context.log.info("upload.abandoned", inbox=one.inbox, path=one.path, size=one.size, arrived=one.offset)


def _uploads(store: Store) -> list[Upload]:
    return upload_rows.uploads(store.connection)


def _forget(upload_id: str, store: Store) -> None:
    upload_rows.remove_upload(store.connection, upload_id)
