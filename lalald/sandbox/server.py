"""Start and stop a sandbox: in a thread, for tests and the demo, or as a program."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from lalald.errors import UsageError
from lalald.sandbox.faults.faults import BadFaultError, Fault, fault
from lalald.sandbox.options import Options, options_from
from lalald.sandbox.service.upload_folder import upload_folder

Result = TypeVar("Result")
LAST_ANSWER_SECONDS = 0.05  # for the answer to the request that stops the server
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class SandboxError(UsageError):
    """The sandbox cannot start."""


class Servers:
    """Both servers and the state of the sandbox, on one event loop."""

    def __init__(self, options: Options, folder: Path) -> None:
        try:
            from lalald.sandbox.http import app, control, downloads
            from lalald.sandbox.http.connection import Listener
            from lalald.sandbox.sandbox_state import SandboxState
        except ModuleNotFoundError as missing:
            hint = "pip install 'lalald[sandbox]'"
            raise SandboxError(f"the sandbox needs {missing.name}, which is not installed", hint=hint) from None
        self.control = control
        self.sandbox = SandboxState(options, folder, lambda: str(uuid4()), os.urandom(32))
        certificates = (options.certificate, options.certificate_key)
        read_seconds = options.read_seconds
        api = app.api(self.sandbox, self.go_down)
        self.api = Listener(api, options.host, options.port, read_seconds, *certificates)
        files = downloads.files(self.sandbox)
        self.files = Listener(files, options.host, options.files_port, read_seconds, *certificates)

    async def open(self) -> None:
        await self.files.open()
        self.sandbox.links.origin = self.sandbox.options.files_origin or self.files.origin
        await self.api.open()

    async def close(self) -> None:
        await self.api.close()
        await self.files.close()

    async def go_down(self, seconds: float) -> None:
        """Refuse connections for a while, and reset the open ones."""
        await asyncio.sleep(LAST_ANSWER_SECONDS)
        await self.close()
        await asyncio.sleep(seconds)
        await self.open()


@asynccontextmanager
async def serving(options: Options) -> AsyncIterator[Servers]:
    """Run both servers; everything that they store is deleted at the end.

    Raises SandboxError if a library is missing, an address is in use, a file cannot be read, or a fault is invalid.
    """
    try:
        with upload_folder(options.folder) as folder:
            servers = Servers(options, folder)
            await servers.open()
            try:
                yield servers
            finally:
                await servers.close()
    except (OSError, BadFaultError) as error:
        raise SandboxError(f"the sandbox cannot start: {error}") from error


class Sandbox:
    """A sandbox in its own thread, on free ports of the loopback unless `options` names others.

    with Sandbox(Options(processing_seconds=1)) as sandbox:
        sandbox.faults("upload:503*2")
        client = Client(base_url=sandbox.url)
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.url = ""
        self.files_url = ""
        self._servers: Servers | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return once both ports are open. Raises SandboxError."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Return once everything is closed and deleted."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def faults(self, *faults: Fault | str | Mapping[str, Any]) -> None:
        """Inject these faults from now on, and no others. Raises BadFaultError."""
        known = [fault(given) for given in faults]
        self._call(lambda servers: servers.sandbox.faults.replace(known))

    def state(self, *, requests: bool = True) -> dict[str, Any]:
        """Sources, tasks, charges, minutes, counts and requests, as `GET /sandbox/state` returns them."""
        return self._await(lambda servers: servers.control.describe(servers.sandbox, requests=requests))

    def advance(self, seconds: float) -> None:
        """Advance the sandbox's clock."""
        self._call(lambda servers: servers.control.advance(servers.sandbox, seconds))

    def set_minutes(self, minutes: float) -> None:
        self._call(lambda servers: servers.control.set_minutes(servers.sandbox, minutes))

    def set_durations(self, durations: Mapping[str, int]) -> None:
        """Set the duration of later uploads, in whole seconds by pattern of the name. Replaces earlier ones."""
        self._call(lambda servers: servers.control.set_durations(servers.sandbox, dict(durations)))

    def set_keys(self, *keys: str) -> None:
        """Accept only these license keys from now on; none: accept every key."""
        self._call(lambda servers: servers.control.set_keys(servers.sandbox, list(keys)))

    def decide(self, task_id: str, outcome: str, **details: Any) -> None:
        """Set a task's outcome: success, error (`detail`, `code`), cancelled, or stuck (`percent`)."""

        def act(servers: Servers) -> None:
            servers.control.decide(servers.sandbox, task_id, servers.control.Outcome(outcome=outcome, **details))

        self._call(act)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Within the block, connections are refused, and open ones reset. Afterwards the same ports listen again."""
        self._await(lambda servers: servers.close())
        try:
            yield
        finally:
            self._await(lambda servers: servers.open())

    def _call(self, act: Callable[[Servers], Result]) -> Result:
        async def run_act(servers: Servers) -> Result:
            return act(servers)

        return self._await(run_act)

    def _await(self, act: Callable[[Servers], Coroutine[Any, Any, Result]]) -> Result:
        """Run on the sandbox's own loop, the only one that may touch its state."""
        if self._servers is None or self._loop is None:
            raise SandboxError("the sandbox is not running")
        return asyncio.run_coroutine_threadsafe(act(self._servers), self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  raised again in the thread that started this one
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self.options) as self._servers:
            self.url, self.files_url = self._servers.api.origin, self._servers.files.origin
            self._ready.set()
            await self._stop.wait()
        self._servers = None


def run(namespace: Namespace) -> int:
    """`lalald sandbox`: serve until SIGTERM or SIGINT. Raises SandboxError if it cannot start."""
    asyncio.run(_serve_until_signal(options_from(namespace)))
    return 0


async def _serve_until_signal(options: Options) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    async with serving(options) as servers:
        sys.stdout.write(_greeting(servers, options))
        sys.stdout.flush()
        await stop.wait()


def _greeting(servers: Servers, options: Options) -> str:
    url, key = servers.api.origin, options.keys[0] if options.keys else "any"
    return f"LALAL.AI sandbox: LALALD_API_URL={url} (license key: {key}; downloads: {servers.files.origin})\n"
