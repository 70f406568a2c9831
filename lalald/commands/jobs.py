"""The jobs, newest last."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable

from lalald.commands.error_output import exit_code_of
from lalald.commands.facts import job_facts
from lalald.commands.json_output import as_json, error_facts
from lalald.commands.layout import Section, show
from lalald.commands.state_folder import state_dir
from lalald.commands.wording import moment, shown
from lalald.errors import StoreError
from lalald.job_warnings import warning_of
from lalald.jobs import Stage, State
from lalald.money import cost_text
from lalald.store.reports import JobReport, Reports

_LIMIT = 50
_COLUMNS = ("ID", "FILE", "RULE", "STAGE", "STATE", "MINUTES", "UPDATED", "WHAT")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--stage", choices=[str(stage) for stage in Stage], help="only those that owe this stage")
    parser.add_argument("--failed", action="store_true", help="only failed ones")
    parser.add_argument("--held", action="store_true", help="only held ones; with --failed: both")
    parser.add_argument(
        "--limit", type=_limit, metavar="N", help=f"the newest N; 0: all of them ({_LIMIT}, with --json all of them)"
    )
    parser.add_argument("--json", action="store_true", help="as a list of objects")


def _limit(word: str) -> int:
    if not word.isascii() or not word.isdigit() or int(word) > sys.maxsize:
        raise ArgumentTypeError(f"expected a number of jobs, got {word!r}")
    return int(word)


def run(arguments: Namespace) -> int:
    states = [state for state, asked in ((State.FAILED, arguments.failed), (State.HELD, arguments.held)) if asked]
    stage = Stage(arguments.stage) if arguments.stage else None
    limit = (0 if arguments.json else _LIMIT) if arguments.limit is None else arguments.limit
    with Reports.open(state_dir(arguments.config)) as reports:
        found = reports.jobs(stage=stage, states=states, limit=limit or None)
        if arguments.json:
            return _show_json(found)
        rows = [_row(report) for report in found]
        show([Section("", rows, _COLUMNS)] if rows else [Section("No jobs.")])
        hidden = reports.count(stage=stage, states=states) - len(rows)
    if hidden > 0:
        print(f"{hidden:,} older ones are not shown; --limit 0 shows all.", file=sys.stderr)
    return 0


def _show_json(found: Iterable[JobReport]) -> int:
    """One object after the other, however many there are; an error on the way is the last object. The exit code."""
    separator, failure = "[", None
    try:
        for report in found:
            sys.stdout.write(f"{separator}\n{as_json(job_facts(report), indent=None)}")
            separator = ","
    except StoreError as error:
        if separator == "[":
            raise
        failure = error
        sys.stdout.write(f",\n{as_json(error_facts(error), indent=None)}")
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")
    return exit_code_of(failure) if failure else 0


def _row(report: JobReport) -> tuple[str, ...]:
    job = report.job
    state = f"{report.state} {report.percent:.0f} %" if report.percent is not None else report.state
    what = (f"{job.hold}: {job.hold_reason or ''}" if job.hold else job.error or warning_of(job)) or ""
    minutes = cost_text(job.minutes) if job.minutes else "-"
    return (
        str(job.id),
        shown(job.path),
        shown(job.rule),
        str(job.stage),
        state,
        minutes,
        moment(job.updated_at),
        shown(what),
    )
