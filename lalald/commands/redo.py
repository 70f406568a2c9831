"""Process the files of finished jobs again, as new jobs that are paid again."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from lalald.commands.output.json_output import show_json
from lalald.commands.prerequisites.job_selection import each_once, job_id, jobs_named, ring
from lalald.commands.prerequisites.quoting import configuration, current_rules, show_quotes
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import UsageError
from lalald.filesystem.names import shell_quoted
from lalald.jobs.states import State
from lalald.reports.formatting import printable
from lalald.reports.job_json import source
from lalald.reports.quotes import facts
from lalald.reports.release_forecast import forecast_redo
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport
from lalald.store.request_writer import Kind, Requests


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="+",
        metavar="ID|PATH",
        help="a job's number, or the path where its file is or was (./12 for a file called 12)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    folder = state_dir(arguments.config)
    with Requests.open(folder) as requests:
        with requests.together():
            chosen = each_once(_check_finished(_job(requests, word)) for word in arguments.what)
            for report in chosen:
                requests.ask(Kind.REDO, str(report.job.id))
        config = configuration(arguments.config)
        jobs = [report.job for report in chosen]
        quotes = forecast_redo(jobs, requests, config.minutes if config else None, current_rules(config))
    if arguments.json:
        show_json(facts(quotes))
    else:
        show_quotes(quotes)
    return ring(folder, quiet=arguments.json)


def _job(reports: Reports, word: str) -> JobReport:
    if job_id(word) is not None:
        return jobs_named(reports, [word])[0]
    path = os.path.abspath(word)
    found = reports.job_at(path)
    if found is None:
        hint = f"`lalald explain {shell_quoted(word)}` says why the file was not processed."
        raise UsageError(f"no job has processed {printable(path)}; no change was made.", hint=hint)
    return found


def _check_finished(report: JobReport) -> JobReport:
    job = report.job
    if job.state not in (State.DONE, State.FAILED, State.CANCELLED):
        raise UsageError(
            f"job {job.id} ({printable(job.path)}) is {report.state}; only a finished job can be processed again. No change was made.",
            hint=f"`lalald show {job.id}` shows its progress.",
        )
    if not os.path.lexists(source(job)):
        raise UsageError(
            f"the file of job {job.id} is no longer at {printable(source(job))}; no change was made.",
            hint="Drop it into the inbox to process it as a new file.",
        )
    return report
