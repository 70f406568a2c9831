"""The page's process: the daemon owns the listening socket, and starts the process at the first connection.

    listening, asleep ──► a connection ──► process: settings out, heartbeats in ──► it ended: asleep again
         ▲                                          │ exit code, or two heartbeats missed: killed
         └───── 1 s, then longer, up to 5 min ◄─────┘ what waits to be accepted is closed

A page without visitors costs nothing. What goes wrong with it never stops the daemon: it is off, reported, and tried again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from lalald.config import Config
from lalald.config.page.listen_address import ListenAddress, parse_listen
from lalald.config.secrets.secret_search import found_on
from lalald.control.page_listener import forget, listen
from lalald.control.page_settings import PageSecrets, PageSettings, page_secrets, settings_for
from lalald.daemon.process.page_child import PageChild
from lalald.errors import DaemonError, LalaldError
from lalald.filesystem.mount_pools import MountPools
from lalald.reports.needs_attention import Attention

IDLE_SECONDS = 600.0
LEAST_PAUSE_SECONDS = 1.0
MOST_PAUSE_SECONDS = 300.0
_SOUND_SECONDS = 60.0
_END_SECONDS = 5.0  # for the process of the former configuration
_MOST_TURNED_AWAY = 1024  # at once
_MOST_COUNTS = 10_000  # of wrong passwords, by address

Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class WebLauncher:
    """`start` runs a task of the daemon. `trouble`: why there is no page, though one is configured."""

    def __init__(
        self,
        disks: MountPools,
        environ: Mapping[str, str],
        log: Any,
        start: Start,
        changed: Callable[[], None],
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._disks = disks
        self._environ = environ
        self._log = log
        self._start = start
        self._changed = changed
        self._idle_seconds = idle_seconds
        self._task: asyncio.Task[None] | None = None
        self._tries: dict[str, list[float]] = {}
        self._child: PageChild | None = None
        self.trouble: LalaldError | None = None

    def configure(self, config: Config) -> None:
        """Uses this configuration from now on; a process that runs with another one ends, and its page reconnects."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._note(None)
        if config.web.listen is not None:
            self._task = self._start(self._run(config, parse_listen(config.web.listen)), "page")

    async def ended(self, seconds: float) -> None:
        """Wait for the end of the process, after its task was cancelled: it has the database open. Then it is killed."""
        if self._child is not None:
            await self._child.end(seconds)

    def attention(self) -> list[Attention]:
        if self.trouble is None:
            return []
        message = f"The page is off: {self.trouble}"
        return [Attention("page_unavailable", "", message, self.trouble.hint or "It is tried again automatically.")]

    async def _run(self, config: Config, address: ListenAddress) -> None:
        """Until it is cancelled. First the former process ends: it may still listen on the same address."""
        await self.ended(_END_SECONDS)
        pause = LEAST_PAUSE_SECONDS
        while True:
            try:
                await self._settings(config)
                listener = listen(address)
            except Exception as error:  # noqa: BLE001 - whatever it is, the daemon works on without a page
                self._note(_trouble(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, MOST_PAUSE_SECONDS)
                continue
            self._log.info("page.listening", address=str(address))
            try:
                await self._serve(config, listener)
            finally:
                listener.close()
                forget(address)

    async def _serve(self, config: Config, listener: socket.socket) -> None:
        """Start a process at each first connection, with growing pauses if it keeps failing."""
        pause = 0.0
        clock = asyncio.get_running_loop().time
        self._note(None)
        while True:
            await _connection(listener)
            began_at = clock()
            try:
                ended_well = await self._process(config, listener)
            except Exception as error:  # noqa: BLE001 - likewise
                self._note(_trouble(error))
                ended_well = False
            if ended_well:
                pause = 0.0
                self._note(None)
                continue
            _turn_away(listener)
            pause = pause_after(pause, clock() - began_at)
            await asyncio.sleep(pause)

    async def _process(self, config: Config, listener: socket.socket) -> bool:
        """One process from its start to its end; whether it ended as it should. Raises LalaldError where it cannot start."""
        settings = await self._settings(config)
        child = self._child = PageChild(self._environ, self._take_line)
        try:
            code = await child.run(listener, settings)
        finally:
            child.abandon()
        if code != 0:
            self._log.warning("page.ended", exit_code=code, hint="It is started again at the next visit.")
        return code == 0

    async def _settings(self, config: Config) -> PageSettings:
        """Reads the page's secrets. Raises ConfigError, FileError."""
        given = await found_on(self._disks, page_secrets(config, self._environ))
        return await self._disks.run(str(config.state_dir), self._with_secrets, config, given)

    def _with_secrets(self, config: Config, given: PageSecrets) -> PageSettings:
        return settings_for(config, given, tries=self._tries, idle_seconds=self._idle_seconds)

    def _take_line(self, facts: Mapping[str, Any]) -> None:
        """What the process says: nothing but that it lives, counts of wrong passwords, or what went wrong in it."""
        self._note(None)
        if isinstance(tries := facts.get("tries"), dict):
            self._tries = dict([*self._tries.items(), *tries.items()][-_MOST_COUNTS:])
        if isinstance(fault := facts.get("fault"), dict):
            self._log.error("page.fault", **{name: str(fault.get(name)) for name in ("where", "error", "traceback")})

    def _note(self, trouble: LalaldError | None) -> None:
        if str(trouble or "") != str(self.trouble or ""):
            if trouble is not None:
                self._log.error("page.unavailable", reason=str(trouble), hint=trouble.hint)
            self._changed()
        self.trouble = trouble


def pause_after(pause: float, lived_seconds: float) -> float:
    """How long to wait after a process that failed, following a pause of so many seconds. One that worked for a while starts over."""
    return (
        LEAST_PAUSE_SECONDS
        if lived_seconds >= _SOUND_SECONDS
        else max(LEAST_PAUSE_SECONDS, min(2 * pause, MOST_PAUSE_SECONDS))
    )


async def _connection(listener: socket.socket) -> None:
    """Sleep until a client connects. The connection is left for the process to accept."""
    loop, come = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listener.fileno(), come.set)
    try:
        await come.wait()
    finally:
        loop.remove_reader(listener.fileno())


def _turn_away(listener: socket.socket) -> None:
    """Closes what waits: else it would wake the daemon again and again. A crowd that grows as fast does not keep it here."""
    with suppress(OSError):
        for _ in range(_MOST_TURNED_AWAY):
            listener.accept()[0].close()


def _trouble(error: Exception) -> LalaldError:
    if isinstance(error, LalaldError):
        return error
    return DaemonError(f"the page has failed: {type(error).__name__}: {error}.", hint="Please report this.")
