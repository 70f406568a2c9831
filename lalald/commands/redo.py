"""Process the files of finished jobs again, as new jobs that are paid again."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import replace

from lalald.commands.output.json_output import show_json
from lalald.commands.prerequisites.job_selection import (
    configuration,
    current_rules,
    each_once,
    job_id,
    jobs_named,
    ring,
    show_quotes,
)
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import UsageError
from lalald.filesystem.names import shell_quoted
from lalald.jobs.job import Job
from lalald.jobs.states import State
from lalald.jobs.transitions import restart
from lalald.reports.formatting import printable
from lalald.reports.job_json import source
from lalald.reports.pricing import duration_of
from lalald.reports.quotes import Quote, facts, quote
from lalald.reports.release_forecast import foretold
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport
from lalald.store.request_writer import Kind, Requests

_AGAIN = "is processed again as a new job"


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
        now = current_rules(config)
        cases = (_case(report.job, now(restart(report.job))) for report in chosen)
        quotes = foretold(cases, requests, config.minutes if config else None)
    if arguments.json:
        show_json(facts(quotes))
    else:
        show_quotes(quotes)
    return ring(folder, quiet=arguments.json)


def _case(job: Job, again: Job) -> tuple[Quote, Job]:
    """The price, and the new job: it has none of the consents that the finished one was given."""
    seconds = duration_of(job)
    new = replace(
        again, duration=seconds, source_id=None, approved_minutes=None,
        per_file_waived=False, per_day_waived=False, upload_waived=False,
    )  # fmt: skip
    return quote(job, _AGAIN, again.tasks, seconds), new


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
