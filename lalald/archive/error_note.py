"""Write and remove `NAME.error.txt`, which explains a failed file to the person who finds it."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from lalald.filesystem.files import (
    lstat_or_none,
    max_name_bytes,
    write_durably,
)
from lalald.filesystem.names import printable, with_suffix
from lalald.filesystem.renaming import rename_without_replacing
from lalald.jobs.failures.failure_advice import what_to_do
from lalald.jobs.job import Job
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.task import Task

SUFFIX = ".error.txt"
_MAX_BYTES = 65536


def note_path(path: str) -> str:
    """The path of the note beside a file."""
    folder, name = os.path.split(path)
    return os.path.join(folder, with_suffix(name, SUFFIX, max_name_bytes(folder)))


def text(job: Job) -> str:
    """What happened, whether anything was charged, and what to do next."""
    lines = [
        f"lalald could not finish {printable(job.path)}.",
        "",
        f"What happened:  {job.error or 'unknown'}",
        f"Money:          {_money(job)}",
        f"What to do:     {what_to_do(job)}",
        "",
        _signature(job),
    ]
    return "\n".join(lines) + "\n"


def _signature(job: Job) -> str:
    """The last line, by which a job recognizes its note. With the job's creation time, since a new state folder reuses ids."""
    return (
        f"lalald job {job.id}, taken {datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec='milliseconds')}"
    )


def _money(job: Job) -> str:
    started = [task for task in job.tasks if task.task_id is not None]
    lost = [
        task for task in job.tasks if task.task_id is None and task.requested_at is not None and task.minutes is None
    ]
    sentences = []
    if started:
        sentences.append(f"{_tasks(started)} started on the service: {_minutes(started)} charged.")
    if job.minutes_before:
        sentences.append(f"{cost_text(job.minutes_before)} minutes were charged for earlier attempts.")
    if lost:
        sentences.append(f"{_tasks(lost)} may have started without an answer: {_minutes(lost)} may have been charged.")
    return " ".join(sentences) or "nothing was spent."


def _tasks(tasks: list[Task]) -> str:
    return f"{len(tasks)} task" if len(tasks) == 1 else f"{len(tasks)} tasks"


def _minutes(tasks: list[Task]) -> str:
    minutes = [task.minutes for task in tasks]
    known = sum(value for value in minutes if value is not None)
    if None not in minutes:
        return f"{cost_text(known)} minutes"
    return f"{cost_text(known)} minutes, and an unknown number more," if known else "an unknown number of minutes"


def is_ours(job: Job, path: str) -> bool:
    """Whether the note at `path` was written for this job."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_BYTES).rstrip("\n").rpartition("\n")[2] == _signature(job)
    except OSError:
        return False


def write(job: Job, path: str) -> None:
    """Write the note beside the file at `path`. Raises FileExistsError if another program's file has its name."""
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
    """Remove the note beside the file at `path`, if it is this job's."""
    note = note_path(path)
    if is_ours(job, note):
        with suppress(OSError):
            os.unlink(note)


def withdraw(job: Job) -> None:
    """Remove the note beside the job's file, because the job resumes."""
    if job.moved_to is not None:
        remove(job, job.moved_to)


def remove_if_moved(job: Job) -> None:
    """Remove the note at the file's last known place if the file was moved away; it stays if the file was copied."""
    if job.moved_to is not None and not os.path.lexists(job.moved_to):
        remove(job, job.moved_to)
