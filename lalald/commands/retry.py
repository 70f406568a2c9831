"""Failed and cancelled jobs go on from where they stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from lalald.commands.access.job_selection import by_the_rules_of_now, fitting, jobs_named, ring, show_quotes
from lalald.commands.access.state_folder import state_dir
from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.errors import UsageError
from lalald.jobs.states import Request, State
from lalald.reports.quotes import facts, quote_of_retry
from lalald.store.queries import JobReport
from lalald.store.request_writer import Requests


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="numbers of jobs, as `lalald jobs` shows them")
    parser.add_argument("--failed", action="store_true", help="all failed jobs; cancelled ones are not among them")
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    if bool(arguments.ids) == arguments.failed:
        raise UsageError("retry needs numbers of jobs, or --failed.", hint="`lalald jobs --failed` lists them.")
    folder = state_dir(arguments.config)
    now = by_the_rules_of_now(arguments.config)
    with Requests.open(folder) as requests:  # files may have to be read for a price: nothing is locked meanwhile
        quotes = [quote_of_retry(report.job, now) for report in _chosen(requests, arguments)]
        with requests.together():
            requests.leave_for(Request.RETRY, {one.job_id: one.terms for one in quotes})
    if arguments.json:
        show_json(facts(quotes))
        return ring(folder, quiet=True) if quotes else 0
    if not quotes:
        say("No job has failed: nothing to do.")
        return 0
    show_quotes(quotes)
    return ring(folder)


def _chosen(requests: Requests, arguments: Namespace) -> Iterable[JobReport]:
    if arguments.failed:
        return requests.jobs(states=[State.FAILED])
    return fitting(jobs_named(requests, arguments.ids), Request.RETRY)
