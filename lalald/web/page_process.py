"""The page's process: from its settings and its listening socket to its end.

settings ──► store, sessions, routes ──► uvicorn ──► the daemon closes its end of the pipe, 10 minutes without a request, or SIGTERM
                                          │
                                          └─► a heartbeat every 5 s, the counts of wrong passwords, and faults for the daemon's log
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lalald.control.page_settings import HEARTBEAT_SECONDS, PageSettings, receive_settings
from lalald.errors import StoreError
from lalald.filesystem.mount_pools import MountPools
from lalald.store.page.logins import ended_sessions
from lalald.web.access.auth import Auth
from lalald.web.access.login_tries import LoginTries
from lalald.web.access.origins import Origins
from lalald.web.app import build
from lalald.web.page import Page
from lalald.web.page_server import Bounds, PageServer
from lalald.web.store_access import StoreAccess

_PR_SET_DUMPABLE = 4
_OOM_SCORE = 500  # when memory runs out, the kernel ends the page before the daemon
_MOST_TEXT = 20_000

Tell = Callable[[dict[str, Any]], None]


def run(listener_number: int, pipe_number: int) -> None:
    """Run the page in a process that the daemon started. It inherits the two descriptors and nothing else."""
    protect()
    pipe = socket.socket(fileno=pipe_number)
    listener = socket.socket(fileno=listener_number)
    tell = _teller(pipe)
    try:
        asyncio.run(_serve(receive_settings(pipe), listener, tell, pipe))
    except EOFError:
        pass  # the daemon is gone
    except BaseException as error:  # noqa: BLE001 - there is no other place to report it
        tell(_fault("start", error))
        os._exit(1)
    os._exit(0)  # without waiting for a thread that a dead mount holds


def protect() -> None:
    """Other processes of this user cannot read its memory; where memory runs out it is the first to go."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(_OOM_SCORE))
    with suppress(OSError, AttributeError):  # afterwards files of /proc/self are root's
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def serve_here(settings: PageSettings, listener: socket.socket) -> None:
    """`lalald web`: the same without a daemon that has started it. Returns at SIGTERM or SIGINT."""
    asyncio.run(_serve(settings, listener, _print, None))


async def _serve(settings: PageSettings, listener: socket.socket, tell: Tell, pipe: socket.socket | None) -> None:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    listener.setblocking(False)
    tries = LoginTries(time.time, lambda counts: tell({"tries": counts}))
    tries.restore(settings.tries)
    built = build(await _page(settings, tries), lambda where, error: tell(_fault(where, error)))
    visits = Visits(built.asgi)
    server = PageServer(visits, Bounds(), lambda: built.streams.end(None, "restart"))
    tasks = [asyncio.create_task(_beat(server, visits, settings.idle_seconds, tell))]
    if pipe is not None:
        tasks.append(asyncio.create_task(_end_with_the_daemon(pipe, server)))
    await server.serve(sockets=[listener])
    for task in tasks:
        task.cancel()


async def _page(settings: PageSettings, tries: LoginTries) -> Page:
    config = settings.config
    store = StoreAccess(config.state_dir)
    auth = await asyncio.to_thread(Auth, config.state_dir, settings.verifier, settings.read_token, tries, time.time)
    with suppress(StoreError):  # there may be no database yet
        auth.ended = await store.ask(ended_sessions)
    origins = Origins(config.web.trusted_proxies, config.web.hosts)
    return Page(settings, store, auth, origins, MountPools(), time.time)


class Visits:
    """When the last visitor was connected, and whether one is now."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self._under_way = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._under_way += 1
        try:
            await self._inner(scope, receive, send)
        finally:
            self._under_way -= 1
            self._last = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        return 0.0 if self._under_way else time.monotonic() - self._last


async def _beat(server: PageServer, visits: Visits, idle_seconds: float | None, tell: Tell) -> None:
    """Says that the event loop runs, until it is time to end."""
    while True:
        tell({})
        if idle_seconds is not None and visits.idle_seconds >= idle_seconds:
            server.end()
        await asyncio.sleep(min(HEARTBEAT_SECONDS, idle_seconds or HEARTBEAT_SECONDS))


async def _end_with_the_daemon(pipe: socket.socket, server: PageServer) -> None:
    pipe.setblocking(False)
    with suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(pipe, 4096):
            pass
    server.end()


def _teller(pipe: socket.socket) -> Tell:
    """Write one line for the daemon, without waiting: the daemon may not be reading."""

    def tell(facts: dict[str, Any]) -> None:
        with suppress(OSError):
            pipe.send(json.dumps(facts).encode("ascii") + b"\n", socket.MSG_DONTWAIT)

    return tell


def _fault(where: str, error: BaseException) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(error))[-_MOST_TEXT:]
    return {"fault": {"where": where, "error": f"{type(error).__name__}: {error}"[:500], "traceback": trace}}


def _print(facts: dict[str, Any]) -> None:
    if fault := facts.get("fault"):
        sys.stderr.write(f"{fault['where']}: {fault['traceback']}")
