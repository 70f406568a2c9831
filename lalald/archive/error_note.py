"""`NAME.error.txt`: what a person who finds a failed file needs to know."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from lalald.filesystem.files import (
    lstat_or_none,
    max_name_bytes,
    write_durably,
)
from lalald.filesystem.names import printable, with_ending
from lalald.filesystem.renaming import rename_without_replacing
from lalald.jobs.failure_advice import what_to_do
from lalald.jobs.job import Job, Task
from lalald.jobs.prices import cost_text

ENDING = ".error.txt"
_MOST_BYTES = 65536


def note_path(path: str) -> str:
    """The note's place beside a file."""
    folder, name = os.path.split(path)
    return os.path.join(folder, with_ending(name, ENDING, max_name_bytes(folder)))


def text(job: Job) -> str:
    """What happened, what became of the money, and what to do next."""
    lines = [
        f"lalald could not finish {printable(job.path)}.",
        "",
        f"What happened:  {job.error or 'it is not known'}",
        f"Money:          {_money(job)}",
        f"What to do:     {what_to_do(job)}",
        "",
        _signature(job),
    ]
    return "\n".join(lines) + "\n"


def _signature(job: Job) -> str:
    """By the moment of the drop too: ids begin anew with a new state folder."""
    return (
        f"lalald job {job.id}, taken {datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec='milliseconds')}"
    )


def _money(job: Job) -> str:
    started = [task for task in job.tasks if task.task_id is not None]
    lost = [
        task for task in job.tasks if task.task_id is None and task.requested_at is not None and task.minutes is None
    ]
    said = []
    if started:
        said.append(f"{_tasks(started)} started on the service: {_minutes(started)} charged.")
    if job.minutes_before:
        said.append(f"{cost_text(job.minutes_before)} minutes were charged for earlier tries.")
    if lost:
        said.append(f"{_tasks(lost)} may have started without an answer: {_minutes(lost)} may have been charged.")
    return " ".join(said) or "nothing was spent."


def _tasks(tasks: list[Task]) -> str:
    return f"{len(tasks)} task" if len(tasks) == 1 else f"{len(tasks)} tasks"


def _minutes(tasks: list[Task]) -> str:
    minutes = [task.minutes for task in tasks]
    known = sum(value for value in minutes if value is not None)
    if None not in minutes:
        return f"{cost_text(known)} minutes"
    return f"{cost_text(known)} minutes, and more that are not known," if known else "an unknown number of minutes"


def is_ours(job: Job, path: str) -> bool:
    """Whether the note there was written for this job."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES).rstrip("\n").rpartition("\n")[2] == _signature(job)
    except OSError:
        return False


def write(job: Job, path: str) -> None:
    """The note beside the file at `path`. Raises FileExistsError where a stranger's file has its name."""
    note = note_path(path)
    hidden = os.path.join(os.path.dirname(path), f".lalald-note-{job.id}.part")
    write_durably(hidden, text(job).encode())
    try:
        if lstat_or_none(note) is not None and is_ours(job, note):
            os.replace(hidden, note)
        else:
            rename_without_replacing(hidden, note)
    except OSError:
        with suppress(OSError):
            os.unlink(hidden)
        raise


def remove(job: Job, path: str) -> None:
    """Takes the note beside the file at `path` away, if it is this job's."""
    note = note_path(path)
    if is_ours(job, note):
        with suppress(OSError):
            os.unlink(note)


def withdraw(job: Job) -> None:
    """The job goes on: the note beside its file, as the row last knew its place, is no longer true."""
    if job.moved_to is not None:
        remove(job, job.moved_to)


def remove_if_moved(job: Job) -> None:
    """Its file was dragged from where the row knew it: the note there is no longer true, unless that was a copy."""
    if job.moved_to is not None and not os.path.lexists(job.moved_to):
        remove(job, job.moved_to)
