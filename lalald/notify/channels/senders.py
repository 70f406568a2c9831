"""Create the sender of a configured entry. Its files are read when something is sent, and again after a failure."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

from lalald.clock import Clock
from lalald.config.model import NotifyEntry
from lalald.errors import FileError
from lalald.filesystem.bounded_calls import UNANSWERED, BoundedCalls
from lalald.jobs.event_facts import Event
from lalald.notify.channels import apprise_sender, command, webhook
from lalald.notify.channels.results import Refused, Result, TryLater
from lalald.notify.channels.webhook_client import WebhookClient
from lalald.notify.messages import Message
from lalald.notify.payload import payload_bytes, webhook_id

Answer = TypeVar("Answer")
MOST_FILE_BYTES = 64 << 10


class RunAt(Protocol):
    """`function(*arguments)`, which uses a file in the folder, on a thread. Raises FileError where its disk does not answer."""

    async def __call__(self, folder: Path, function: Callable[..., Answer], *arguments: Any) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What senders get from their owner. `tls` trusts the system's authorities."""

    environ: Mapping[str, str]
    clock: Clock
    run_at: RunAt
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context


def first_line(path: Path) -> str:
    """What a file holds, without its line end. On a thread. Raises OSError, or ValueError for what can be no address or secret."""
    # A pipe that no program writes to would keep whatever opens it waiting.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise ValueError("it is too large")
    lines = [line.strip() for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if len(lines) != 1:
        raise ValueError("it should hold one line")
    return lines[0]


def runs_each_event(entry: NotifyEntry) -> bool:
    """Whether it gets each event on its own; else what was gathered."""
    return entry.webhook is not None or bool(entry.command)


async def send_message(entry: NotifyEntry, around: Surroundings, message: Message) -> Result:
    """A message by Apprise."""
    url = entry.url or await _read(entry.url_file, "url_file", around)
    if isinstance(url, TryLater):
        return url
    return await apprise_sender.send(url, message.title, message.body, around.environ)


async def run_command(entry: NotifyEntry, around: Surroundings, event: Event) -> Result:
    """Run the program, which is examined before each run: it may have been changed."""
    program = entry.command[0]
    try:
        problem = await around.run_at(Path(program).parent, command.program_problem, program)
    except FileError:
        return TryLater(f"the program cannot be run: {UNANSWERED}")
    if problem:
        return Refused(problem)
    return await command.run(entry.command, event, timeout_seconds=entry.timeout, environ=around.environ)


@asynccontextmanager
async def webhook_sender(
    entry: NotifyEntry, around: Surroundings
) -> AsyncIterator[Callable[[Event], Awaitable[Result]]]:
    """Post events; the connection and the secret are kept until none is left."""
    key = await _signing_key(entry, around)
    if isinstance(key, TryLater):
        yield _always(key)
        return
    try:
        client = WebhookClient(entry.webhook or "", around.tls)
    except (ImportError, ValueError, OSError, httpx.InvalidURL):
        yield _always(TryLater("the proxy or the certificates of the environment cannot be used"))
        return

    async def send(event: Event) -> Result:
        message_id, body = webhook_id(event), payload_bytes(event, names=entry.names)
        sent = webhook.headers(key, message_id, int(around.clock.now()), body)
        return await client.post(sent, body)

    try:
        yield send
    finally:
        await client.close()


async def _signing_key(entry: NotifyEntry, around: Surroundings) -> bytes | TryLater | None:
    if entry.secret_file is None:
        return None
    secret = await _read(entry.secret_file, "secret_file", around)
    if isinstance(secret, TryLater):
        return secret
    try:
        return webhook.key_from(secret)
    except webhook.SecretError as error:
        return TryLater(str(error), key="secret_file")


async def _read(path: Path | None, key: str, around: Surroundings) -> str | TryLater:
    """What the file says, or why it cannot be used; never its path, which may be the secret itself by mistake."""
    assert path is not None  # noqa: S101 - an entry has one or the other
    try:
        return await around.run_at(path.parent, first_line, path)
    except OSError as error:
        return TryLater(f"its {key} cannot be read: {os.strerror(error.errno or 0)}", key=key)
    except FileError:
        return TryLater(f"its {key} cannot be read: {UNANSWERED}", key=key)
    except ValueError as error:
        words = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        return TryLater(f"its {key} cannot be used: {words}", key=key)


def _always(result: Result) -> Callable[[Event], Awaitable[Result]]:
    async def send(_event: Event) -> Result:
        return result

    return send


async def run_bounded(folder: Path, function: Callable[..., Answer], *arguments: Any) -> Answer:
    """For a program that ends soon anyway."""
    return await asyncio.to_thread(BoundedCalls().run, folder, function, *arguments)
