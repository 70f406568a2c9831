"""Failed and cancelled jobs go on from where they stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from lalald.commands.asking import by_the_rules_of_now, fitting, jobs_named, ring, tell_each, to_pay
from lalald.commands.state_folder import state_dir
from lalald.errors import UsageError
from lalald.jobs import Request, State
from lalald.store.reports import JobReport
from lalald.store.requests import Requests


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="numbers of jobs, as `lalald jobs` shows them")
    parser.add_argument("--failed", action="store_true", help="all failed jobs; cancelled ones are not among them")


def run(arguments: Namespace) -> int:
    if bool(arguments.ids) == arguments.failed:
        raise UsageError("retry needs numbers of jobs, or --failed.", hint="`lalald jobs --failed` lists them.")
    folder = state_dir(arguments.config)
    with Requests.open(folder) as requests:
        chosen = _asked(requests, arguments)
        now = by_the_rules_of_now(arguments.config)
        told = tell_each(
            chosen, lambda _job: "goes on", lambda job: to_pay(now(job))
        )  # files may have to be read for it: nothing is locked meanwhile
    if not told:
        print("No job has failed: nothing to do.")
        return 0
    ring(folder)
    return 0


def _asked(requests: Requests, arguments: Namespace) -> Iterable[JobReport]:
    with requests.together():
        if arguments.failed:
            requests.leave_all(Request.RETRY, states=[State.FAILED])
            return requests.jobs(states=[State.FAILED])
        chosen = fitting(jobs_named(requests, arguments.ids), Request.RETRY)
        requests.leave(Request.RETRY, [report.job.id for report in chosen])
        return chosen
