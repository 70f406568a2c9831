"""What the commands that act share: which jobs are meant, what it costs, and the daemon's doorbell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lalald.commands.output.printing import say
from lalald.control.socket_client import wake
from lalald.errors import ConfigError, UsageError
from lalald.jobs.job import Job
from lalald.jobs.states import Request, State
from lalald.reports.formatting import count, price, printable
from lalald.reports.quotes import Quote, together
from lalald.store.queries import JobReport, Reports
from lalald.store.request_writer import FITTING

if TYPE_CHECKING:
    from lalald.config import Config

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
    """The jobs of these numbers, each once. Raises UsageError that names every word which is none's."""
    found = {word: None if (number := job_id(word)) is None else reports.job(number) for word in words}
    missing = [word for word, report in found.items() if report is None]
    if missing:
        unknown = ", ".join(map(printable, missing))
        raise UsageError(f"there is no job {unknown}; no change was made.", hint="`lalald jobs` lists them.")
    return each_once(report for report in found.values() if report is not None)


def each_once(found: Iterable[JobReport]) -> list[JobReport]:
    """A job that is named twice is meant once."""
    return list({report.job.id: report for report in found}.values())


def fitting(reports: Sequence[JobReport], request: Request) -> list[JobReport]:
    """The jobs themselves. Raises UsageError where the request cannot be honoured for one of them."""
    states = sorted(FITTING[request])
    wrong = [report for report in reports if report.job.state not in FITTING[request]]
    if wrong:
        told = ", ".join(f"job {report.job.id} is {report.state}" for report in wrong)
        fits = " or ".join(filter(None, (", ".join(states[:-1]), states[-1])))
        raise UsageError(
            f"{told}; only a {fits} job can be asked to {request}. No change was made.", hint=_instead(request, wrong)
        )
    return list(reports)


def _instead(request: Request, wrong: Sequence[JobReport]) -> str:
    if request is Request.RETRY and any(report.job.state is State.DONE for report in wrong):
        done = next(report.job.id for report in wrong if report.job.state is State.DONE)
        return f"`lalald redo {done}` processes the file of a job that is done again, and pays again."
    return f"`lalald show {wrong[0].job.id}` shows more."


def configuration(explicit: str | None) -> Config | None:
    """The configuration as the daemon would read it now; None where it has mistakes."""
    from lalald.config import find, load

    try:
        return load(find(explicit, os.environ), os.environ)
    except ConfigError:
        return None


def by_the_rules_of_now(explicit: str | None) -> Callable[[Job], Job]:
    """What the daemon makes of a job that it carries on before anything was paid; with a mistaken configuration, the job as it is."""
    from lalald.inbox.rematch import rematch_job

    config = configuration(explicit)
    if config is None:
        return lambda job: job
    inboxes = {str(inbox.path): inbox for inbox in config.inboxes}
    return lambda job: rematch_job(job, inboxes[job.inbox]) if job.inbox in inboxes else job


def ring(state_dir: Path, *, quiet: bool = False) -> int:
    """Has the daemon look into the database, or says that it will when it starts. The exit code: 0 in both cases."""
    if not wake(state_dir) and not quiet:
        say("The daemon is not running: this happens at its next start.")
    return 0


def folder_named(reports: Reports, word: str) -> str:
    """The folder outside the inboxes that a path names, or the inbox that it names or lies in. Raises UsageError."""
    path = os.path.abspath(word)
    folders = [folder.path for folder in reports.folders()]
    return path if path in folders else _inbox_of(path, reports, "folder", folders)


def inbox_named(reports: Reports, word: str) -> str:
    """The inbox that a path names, or lies in. Raises UsageError."""
    return _inbox_of(os.path.abspath(word), reports, "inbox", [])


def _inbox_of(path: str, reports: Reports, kind: str, others: Sequence[str]) -> str:
    known = [inbox.path for inbox in reports.inboxes()]
    for inbox in sorted(known, key=len, reverse=True):
        if path == inbox or path.startswith(inbox.rstrip("/") + "/"):
            return inbox
    hint = (
        f"It knows: {', '.join(map(printable, [*known, *others]))}." if known else "The daemon has seen no inbox yet."
    )
    article = "an" if kind == "inbox" else "a"
    raise UsageError(f"{printable(path)} is not {article} {kind} of the daemon; no change was made.", hint=hint)


def show_quotes(quotes: Sequence[Quote]) -> None:
    """A line for each up to a screenful, and the sum."""
    for one in quotes[:MOST_LINES]:
        say(one.line())
    if len(quotes) > MOST_LINES:
        say(f"… and {count(len(quotes) - MOST_LINES, 'more job')}")
    if len(quotes) > 1:
        say(f"together {price(*together(quotes))}")
