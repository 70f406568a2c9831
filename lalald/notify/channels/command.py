"""Run a user's program for each event, without a shell. It gets the event in its environment and on its standard input."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lalald.filesystem.names import printable
from lalald.jobs.event_facts import Event
from lalald.notify.channels import processes
from lalald.notify.channels.results import Failed, Refused, Sent
from lalald.notify.payload import payload_bytes, webhook_id
from lalald.notify.plain_text import encodable, readable

_LONGEST_OUTPUT = 300  # characters
_LONGEST_VARIABLE = 30_000  # characters, of up to 4 bytes


async def run(
    command: Sequence[str], event: Event, *, timeout_seconds: float, environ: Mapping[str, str]
) -> Sent | Failed | Refused:
    """Runs the program once, unexamined. How it ended is reported; it is never run again for that."""
    variables = {**processes.allowed_environment(environ), **event_variables(event)}
    given = payload_bytes(event, names=True)
    try:
        ended = await processes.run(
            command, given=given, environ=variables, timeout_seconds=timeout_seconds, with_errors=True
        )
    except OSError as error:
        return Refused(f"{printable(command[0])} could not be started: {error.strerror}")
    if ended.code == 0:
        return Sent()
    if ended.code is None:
        return Failed(f"it was killed after {timeout_seconds:g} seconds{_last_words(ended.output)}")
    how = f"exit code {ended.code}" if ended.code > 0 else f"killed by signal {-ended.code}"
    return Failed(f"{how}{_last_words(ended.output)}")


def _last_words(output: bytes) -> str:
    lines = readable_lines(output)
    return f"; its last line: {lines[-1]}" if lines else ""


def readable_lines(output: bytes) -> list[str]:
    lines = (readable(line)[:_LONGEST_OUTPUT] for line in output.decode("utf-8", "backslashreplace").splitlines())
    return [line for line in lines if line]


def event_variables(event: Event) -> dict[str, str]:
    """`LALALD_…` for the program. Paths are exact, whatever bytes they hold; only what the event has is set."""
    fact = event.fact
    job: Mapping[str, Any] = fact.data.get("job", {})
    found = {
        "EVENT": fact.kind,
        "EVENT_ID": webhook_id(event),
        "COUNT": fact.count,
        "JOB_ID": job.get("id"),
        "RULE": job.get("rule"),
        "INBOX": job.get("inbox") or fact.data.get("folder"),
        "PATH": os.path.join(job["inbox"], job["path"]) if job else None,
        "MINUTES": job.get("minutes"),
        "SOURCE": fact.data.get("source"),
        "OUTPUT": fact.data.get("output"),
        "HOLD": fact.data.get("hold"),
        "REASON": fact.data.get("error") or fact.data.get("reason"),
    }
    return {f"LALALD_{name}": _as_variable(str(value)) for name, value in found.items() if value is not None}


def _as_variable(text: str) -> str:
    """Exact, as far as a variable can be: without NUL, and not longer than the kernel accepts (MAX_ARG_STRLEN, 128 KiB)."""
    return encodable(text.replace("\0", ""))[:_LONGEST_VARIABLE]


def program_problem(program: str, uid: int | None = None) -> str | None:
    """Why a program is not run: it must be a file that only root, or the daemon's user, can write or replace.

    `uid`: of the daemon; None: of this process.
    """
    path, user = Path(program), os.geteuid() if uid is None else uid
    if not path.is_absolute():
        return f"{printable(program)} is not an absolute path"
    try:
        facts = path.stat()
    except OSError as error:
        return f"{printable(program)} cannot be run: {error.strerror}"
    if not stat.S_ISREG(facts.st_mode):
        return f"{printable(program)} is not a file"
    if not os.access(path, os.X_OK, effective_ids=True):
        return f"{printable(program)} is not executable by user {user}; `chmod +x` makes it so"
    for place in _places(path):
        if problem := _writable_by_others(place, user):
            return problem
    return None


def _places(path: Path) -> list[Path]:
    """The file, as named and as found, and every folder on the way to it."""
    real = path.resolve()
    return list(dict.fromkeys([real, *real.parents, *path.parents]))


def _writable_by_others(path: Path, user: int) -> str | None:
    try:
        facts = path.stat()
    except OSError as error:
        return f"{printable(str(path))} cannot be examined: {error.strerror}"
    mode, is_folder = facts.st_mode, stat.S_ISDIR(facts.st_mode)
    if facts.st_uid not in (0, user):
        who = f"user {facts.st_uid}, who could change what is run"
        return f"{printable(str(path))} belongs to {who}; give it to root or to user {user}"
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not (is_folder and mode & stat.S_ISVTX):
        return f"{printable(str(path))} can be written by other users; `chmod go-w` keeps it to its owner"
    return None
