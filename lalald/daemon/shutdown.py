"""The end of a daemon: transfers stop at once, a charge on the wire is awaited, everything known is saved."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lalald.daemon.parts import Parts

_STOP_SECONDS = 1.5
_STOP_WITH_A_SPLIT_SECONDS = 8.0


async def shut_down(parts: Parts) -> None:
    """Transfers end at once and resume at the next start; a split on the wire is awaited, since its answer is money."""
    parts.folder_checks.stop()
    parts.supervisor.cancel_first()
    is_splitting = parts.worker.stop_taking()
    parts.clients.interrupt()
    if is_splitting:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WITH_A_SPLIT_SECONDS):
                await parts.worker.charges_recorded()
    await asyncio.gather(parts.supervisor.cancel_all(_STOP_SECONDS), parts.page.ended(_STOP_SECONDS))
    await parts.context.store.stop()
