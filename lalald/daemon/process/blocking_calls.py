"""The threads of asyncio's own blocking calls, such as looking up a host name: one that hangs delays neither others nor the end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

_MOST_THREADS = 64  # made as they are needed; asyncio's own limit is 6 on a small machine


class _Abandoned(ThreadPoolExecutor):
    """asyncio waits for its threads at the end: a name server that does not answer would keep a stopped daemon for minutes."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the library's own names
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def wait_for_none(loop: asyncio.AbstractEventLoop) -> None:
    """For a process that ends by `os._exit`."""
    loop.set_default_executor(_Abandoned(_MOST_THREADS, thread_name_prefix="blocking"))
