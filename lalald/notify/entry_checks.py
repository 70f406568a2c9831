"""The checks of `check-config` for `notify` entries: files, programs, and whether Apprise understands the address."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from lalald.config.model import NotifyEntry
from lalald.errors import FileError
from lalald.filesystem.bounded_calls import UNANSWERED, BoundedCalls
from lalald.notify.channels import apprise_sender, webhook
from lalald.notify.channels.command import program_problem
from lalald.notify.channels.senders import first_line


async def entry_problems(
    entry: NotifyEntry, environ: Mapping[str, str], uid: int, calls: BoundedCalls
) -> list[tuple[str, str]]:
    """Keys that cannot work here, now, and why; no message holds an address or a secret. `uid`: of the daemon."""
    if entry.command:
        return _named("command", _command_problem(entry.command[0], uid, calls))
    if entry.webhook is not None:
        problem = None if webhook.is_address(entry.webhook) else "expected an address such as https://example.org/hook"
        secret_problem = entry.secret_file and _secret_problem(entry.secret_file, calls)
        return [*_named("webhook", problem), *_named("secret_file", secret_problem or None)]
    if entry.url is not None:
        return _named("url", await _url_problem(entry.url, environ))
    if entry.url_file is not None:
        text, problem = _read(entry.url_file, calls)
        return _named("url_file", problem or await _url_problem(text, environ))
    return []


def entry_warnings(entry: NotifyEntry, calls: BoundedCalls) -> Iterator[tuple[str, str]]:
    """Warnings about settings that work but should be changed."""
    for key, path in (("url_file", entry.url_file), ("secret_file", entry.secret_file)):
        if path is not None and _is_readable_by_all(path, calls):
            yield key, "every user of this machine can read this file; `chmod 600` keeps it to one"


def _named(key: str, problem: str | None) -> list[tuple[str, str]]:
    return [(key, problem)] if problem else []


def _command_problem(program: str, uid: int, calls: BoundedCalls) -> str | None:
    try:
        return calls.run(Path(program).parent, program_problem, program, uid)
    except FileError as error:
        return str(error)


def _secret_problem(path: Path, calls: BoundedCalls) -> str | None:
    text, problem = _read(path, calls)
    if problem:
        return problem
    try:
        webhook.key_from(text)
    except webhook.SecretError as error:
        return str(error)
    return None


async def _url_problem(url: str, environ: Mapping[str, str]) -> str | None:
    if not apprise_sender.is_installed():
        return f"Apprise is not installed: {apprise_sender.INSTALL}"
    return None if await apprise_sender.understands(url, environ) else "Apprise does not understand this address"


def _read(path: Path, calls: BoundedCalls) -> tuple[str, str | None]:
    """What a file holds, or why it cannot be used."""
    try:
        return calls.run(path.parent, first_line, path), None
    except FileError:
        return "", f"the file cannot be read: {UNANSWERED}"
    except OSError as error:
        return "", f"the file cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return "", "the file is not text"
    except ValueError as error:
        return "", f"the file cannot be used: {error}"


def _is_readable_by_all(path: Path, calls: BoundedCalls) -> bool:
    try:
        return bool(calls.run(path.parent, path.stat).st_mode & stat.S_IROTH)
    except (OSError, FileError):
        return False
