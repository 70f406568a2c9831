"""Jobs are cancelled, here and on the service; failed ones are given up."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from lalald.commands.asking import MOST_LINES, fitting, jobs_named, ring
from lalald.commands.state_folder import state_dir
from lalald.commands.wording import count, shown
from lalald.errors import UsageError
from lalald.jobs import Job, Request, Stage, State
from lalald.store.reports import JobReport
from lalald.store.requests import Kind, Requests

_WARNING = "This stops every task of your LALAL.AI account, those of other programs and of the website too."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="numbers of jobs, as `lalald jobs` shows them")
    parser.add_argument("--all", action="store_true", help="every job that is waiting, running or held")
    parser.add_argument(
        "--every-client", action="store_true", help="with --all: also every task that other programs started"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before --every-client")


def run(arguments: Namespace) -> int:
    if bool(arguments.ids) == arguments.all:
        raise UsageError("cancel needs numbers of jobs, or --all.", hint="`lalald jobs` lists them.")
    if arguments.every_client and not arguments.all:
        raise UsageError("--every-client goes with --all only: it cannot spare anything.")
    if arguments.every_client and not arguments.yes and not _agreed():
        print("Nothing was asked.")
        return 0
    folder = state_dir(arguments.config)
    with Requests.open(folder) as requests, requests.together():
        if arguments.all:
            print(_cancel_all(requests, every_client=arguments.every_client))
        else:
            chosen = fitting(jobs_named(requests, arguments.ids), Request.CANCEL)
            requests.leave(Request.CANCEL, [report.job.id for report in chosen])
            _tell(chosen)
    ring(folder)
    return 0


def _cancel_all(requests: Requests, *, every_client: bool) -> str:
    cancelled = requests.leave_all(Request.CANCEL, states=[State.WAITING, State.HELD])
    if every_client:
        requests.ask(Kind.CANCEL_EVERY_CLIENT)
    told = f"{count(cancelled, 'job')} to be cancelled"
    return f"{told}, and every task of every other client." if every_client else f"{told}."


def _tell(chosen: list[JobReport]) -> None:
    for report in chosen[:MOST_LINES]:
        job = report.job
        print(f"job {job.id} {shown(job.path)}: {_what(job)}; {_spent(job)}")
    if len(chosen) > MOST_LINES:
        print(f"… and {count(len(chosen) - MOST_LINES, 'more job')}")


def _what(job: Job) -> str:
    if job.state is State.FAILED:
        return "to be given up, its file stays where it is"
    if job.stage in (Stage.DOWNLOAD, Stage.DELETE, Stage.ARCHIVE):
        return "is finished on the service and delivered all the same"
    return "to be cancelled"


def _spent(job: Job) -> str:
    charged = f"{job.minutes:,.1f} min are charged already" if job.minutes else ""
    lost = "what was started without an answer may have been charged" if any(task.lost for task in job.tasks) else ""
    return " and ".join(filter(None, (charged, lost))) or "nothing was charged"


def _agreed() -> bool:
    """A person's word for it. Raises UsageError where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{_WARNING} There is no terminal to ask at; nothing was asked.", hint="--yes says that it is meant."
        )
    print(_WARNING)
    try:
        return input("Stop them all? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # ctrl-D
        print()
        return False
