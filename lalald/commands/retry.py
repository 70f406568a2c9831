"""Resume failed and cancelled jobs at the stage where they stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.commands.prerequisites.job_selection import fitting, jobs_named, ring
from lalald.commands.prerequisites.quoting import configuration, current_rules, show_quotes
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import UsageError
from lalald.jobs.states import Request, State
from lalald.reports.quotes import facts
from lalald.reports.release_forecast import forecast_retry
from lalald.store.report_types import JobReport
from lalald.store.request_writer import Requests


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="job numbers, as `lalald jobs` shows them")
    parser.add_argument("--failed", action="store_true", help="all failed jobs; not cancelled ones")
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    if bool(arguments.ids) == arguments.failed:
        raise UsageError("retry needs job numbers, or --failed.", hint="`lalald jobs --failed` lists them.")
    folder = state_dir(arguments.config)
    config = configuration(arguments.config)
    with Requests.open(folder) as requests:  # pricing may read files: no lock is held while it does
        jobs = [report.job for report in _chosen(requests, arguments)]
        quotes = forecast_retry(jobs, requests, config.minutes if config else None, current_rules(config))
        with requests.together():
            requests.leave_for(Request.RETRY, {one.job_id: one.terms for one in quotes})
    if arguments.json:
        show_json(facts(quotes))
        return ring(folder, quiet=True) if quotes else 0
    if not quotes:
        say("No job has failed.")
        return 0
    show_quotes(quotes)
    return ring(folder)


def _chosen(requests: Requests, arguments: Namespace) -> Iterable[JobReport]:
    if arguments.failed:
        return requests.jobs(states=[State.FAILED])
    return fitting(jobs_named(requests, arguments.ids), Request.RETRY)
