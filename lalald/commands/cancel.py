"""Cancel jobs, here and on the service; abandon failed ones."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.commands.prerequisites.job_selection import MOST_LINES, fitting, jobs_named, ring
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import UsageError
from lalald.jobs.job import Job
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import Request, Stage, State
from lalald.reports.formatting import count, printable
from lalald.store.report_types import JobReport
from lalald.store.request_writer import Kind, Requests

_WARNING = "This stops every task of your LALAL.AI account, including those of other programs and of the website."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="job numbers, as `lalald jobs` shows them")
    parser.add_argument("--all", action="store_true", help="every job that is waiting, running or held")
    parser.add_argument(
        "--every-client", action="store_true", help="with --all: also every task that other programs started"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before --every-client")
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    if bool(arguments.ids) == arguments.all:
        raise UsageError("cancel needs job numbers, or --all.", hint="`lalald jobs` lists them.")
    if arguments.every_client and not arguments.all:
        raise UsageError("--every-client needs --all: it stops every task.")
    if arguments.every_client and not arguments.yes and not _confirm(can_ask=not arguments.json):
        print("No change was made.")
        return 0
    folder = state_dir(arguments.config)
    with Requests.open(folder) as requests, requests.together():
        answer = _cancel_all(requests, arguments) if arguments.all else _cancel_named(requests, arguments)
    if arguments.json:
        show_json({**answer, "every_client": arguments.every_client})
    return ring(folder, quiet=arguments.json)


def _cancel_named(requests: Requests, arguments: Namespace) -> dict[str, Any]:
    chosen = fitting(jobs_named(requests, arguments.ids), Request.CANCEL)
    requests.leave(Request.CANCEL, [report.job.id for report in chosen])
    if not arguments.json:
        _show(chosen)
    return {"cancelled": len(chosen), "jobs": [_facts(report.job) for report in chosen]}


def _facts(job: Job) -> dict[str, Any]:
    return {"id": job.id, "path": job.path, "delivered": _is_delivered(job), "minutes_charged": float(job.minutes)}


def _cancel_all(requests: Requests, arguments: Namespace) -> dict[str, Any]:
    cancelled = requests.leave_all(Request.CANCEL, states=[State.WAITING, State.HELD])
    if arguments.every_client:
        requests.ask(Kind.CANCEL_EVERY_CLIENT)
    if not arguments.json:
        others = ", and every task of other programs" if arguments.every_client else ""
        say(f"{count(cancelled, 'job')} to be cancelled{others}.")
    return {"cancelled": cancelled, "jobs": None}


def _show(chosen: list[JobReport]) -> None:
    for report in chosen[:MOST_LINES]:
        job = report.job
        say(f"job {job.id} {printable(job.path)}: {_outcome(job)}; {_charges(job)}")
    if len(chosen) > MOST_LINES:
        say(f"… and {count(len(chosen) - MOST_LINES, 'more job')}")


def _outcome(job: Job) -> str:
    if job.state is State.FAILED:
        return "to be abandoned; its file stays where it is"
    if _is_delivered(job):
        return "has finished on the service, and is delivered"
    return "to be cancelled"


def _is_delivered(job: Job) -> bool:
    """Whether the service has its results already: they are still put into the outbox."""
    return job.state is not State.FAILED and job.stage in (Stage.DOWNLOAD, Stage.DELETE, Stage.ARCHIVE)


def _charges(job: Job) -> str:
    charged = f"{cost_text(job.minutes)} min have been charged" if job.minutes else ""
    lost = (
        "a task that was started without an answer may have been charged"
        if any(task.lost for task in job.tasks)
        else ""
    )
    return " and ".join(filter(None, (charged, lost))) or "nothing was charged"


def _confirm(*, can_ask: bool) -> bool:
    """Ask for confirmation. Raises UsageError if there is no terminal to ask on."""
    if not can_ask or not sys.stdin.isatty():
        raise UsageError(f"{_WARNING} It needs a confirmation; no change was made.", hint="Add --yes to confirm.")
    say(_WARNING)
    try:
        return input("Stop them all? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # ctrl-D
        print()
        return False
