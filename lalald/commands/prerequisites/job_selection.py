"""Find the jobs that a command shows or changes, and wake the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lalald.commands.output.printing import say
from lalald.control.socket_client import wake
from lalald.errors import UsageError
from lalald.jobs.states import Request, State
from lalald.reports.formatting import printable
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport
from lalald.store.request_writer import FITTING

MOST_LINES = 20
_LARGEST_ID = 2**63 - 1
_MOST_DIGITS = 100  # Python refuses to read thousands of them


def job_id(word: str) -> int | None:
    """The number in `12` or `#12`; None for anything else."""
    digits = word.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MOST_DIGITS:
        return None
    return int(digits) if int(digits) <= _LARGEST_ID else None


def jobs_named(reports: Reports, words: Sequence[str]) -> list[JobReport]:
    """The jobs with these numbers, each once. Raises UsageError that lists every word without a job."""
    found = {word: None if (number := job_id(word)) is None else reports.job(number) for word in words}
    missing = [word for word, report in found.items() if report is None]
    if missing:
        unknown = ", ".join(map(printable, missing))
        raise UsageError(f"no such job: {unknown}. No change was made.", hint="`lalald jobs` lists them.")
    return each_once(report for report in found.values() if report is not None)


def each_once(found: Iterable[JobReport]) -> list[JobReport]:
    """Without the repetitions of jobs that were named twice."""
    return list({report.job.id: report for report in found}.values())


def fitting(reports: Sequence[JobReport], request: Request) -> list[JobReport]:
    """Return the jobs. Raises UsageError if the request does not apply to one of them."""
    states = sorted(FITTING[request])
    wrong = [report for report in reports if report.job.state not in FITTING[request]]
    if wrong:
        actual = ", ".join(f"job {report.job.id} is {report.state}" for report in wrong)
        fits = " or ".join(filter(None, (", ".join(states[:-1]), states[-1])))
        raise UsageError(f"{actual}; {request} needs a {fits} job. No change was made.", hint=_instead(request, wrong))
    return list(reports)


def _instead(request: Request, wrong: Sequence[JobReport]) -> str:
    if request is Request.RETRY and any(report.job.state is State.DONE for report in wrong):
        done = next(report.job.id for report in wrong if report.job.state is State.DONE)
        return f"`lalald redo {done}` processes the file of a finished job again, and pays again."
    return f"`lalald show {wrong[0].job.id}` shows details."


def ring(state_dir: Path, *, quiet: bool = False) -> int:
    """Wake the daemon to handle a request, or say that it will at its next start. Return the exit code, 0."""
    if not wake(state_dir) and not quiet:
        say("The daemon is not running: it will do this at its next start.")
    return 0


def folder_named(reports: Reports, word: str) -> str:
    """The known folder at a path, or the inbox at it or above it. Raises UsageError."""
    path = os.path.abspath(word)
    folders = [folder.path for folder in reports.folders()]
    return path if path in folders else _inbox_of(path, reports, "folder", folders)


def inbox_named(reports: Reports, word: str) -> str:
    """The inbox at a path or above it. Raises UsageError."""
    return _inbox_of(os.path.abspath(word), reports, "inbox", [])


def _inbox_of(path: str, reports: Reports, kind: str, others: Sequence[str]) -> str:
    known = [inbox.path for inbox in reports.inboxes()]
    for inbox in sorted(known, key=len, reverse=True):
        if path == inbox or path.startswith(inbox.rstrip("/") + "/"):
            return inbox
    hint = (
        f"Known: {', '.join(map(printable, [*known, *others]))}."
        if known
        else "The daemon has not scanned an inbox yet."
    )
    article = "an" if kind == "inbox" else "a"
    raise UsageError(f"{printable(path)} is not {article} {kind} of the daemon; no change was made.", hint=hint)
