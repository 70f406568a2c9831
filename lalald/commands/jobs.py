"""List jobs, newest last, one line each."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence

from lalald.commands.output.error_output import exit_code_of
from lalald.commands.output.json_output import as_json, error_facts
from lalald.commands.output.lines import Cell, Line, Span, columns, shortened
from lalald.commands.output.printing import output_width, show
from lalald.commands.output.tables import STATE_STYLES
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import StoreError
from lalald.jobs.job_warnings import warning_of
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import Stage, State
from lalald.reports.formatting import count, printable, span
from lalald.reports.job_json import job_facts
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport

_LIMIT = 50
_MOST_DIGITS = 100  # Python refuses to read thousands of them
_WIDE = 110  # columns; wider terminals show the rule too
_INDENT = "  "


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--stage", choices=[str(stage) for stage in Stage], help="only jobs at this stage")
    parser.add_argument("--failed", action="store_true", help="only failed ones")
    parser.add_argument("--held", action="store_true", help="only held ones; with --failed: both")
    parser.add_argument(
        "--limit", type=_limit, metavar="N", help=f"the newest N; 0: all of them ({_LIMIT}, with --json all of them)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: a list of objects")


def _limit(word: str) -> int:
    if not word.isascii() or not word.isdigit() or len(word) > _MOST_DIGITS or int(word) > sys.maxsize:
        raise ArgumentTypeError(f"expected a number of jobs, got {word!r}")
    return int(word)


def run(arguments: Namespace) -> int:
    states = [
        state for state, is_chosen in ((State.FAILED, arguments.failed), (State.HELD, arguments.held)) if is_chosen
    ]
    stage = Stage(arguments.stage) if arguments.stage else None
    limit = (0 if arguments.json else _LIMIT) if arguments.limit is None else arguments.limit
    with Reports.open(state_dir(arguments.config)) as reports:
        found = reports.jobs(stage=stage, states=states, limit=limit or None)
        if arguments.json:
            if code := _show_json(found):
                return code
            _report_skipped(reports)
            return 0
        listed = list(found)
        hidden = reports.count(stage=stage, states=states) - len(listed) - len(reports.skipped)
        _report_skipped(reports)
    show(job_lines(listed, time.time(), output_width(), with_reasons=bool(states)))
    if hidden > 0:
        print(f"{count(hidden, 'older job')} not shown; --limit 0 shows all.", file=sys.stderr)
    return 0


def _report_skipped(reports: Reports) -> None:
    """Say which jobs are missing in the list because their rows cannot be read."""
    ids = sorted({*reports.skipped, *(job.job_id for job in reports.unreadable_jobs().all())})
    if ids:
        words = f"{count(len(ids), 'job')} cannot be read from the database and {'is' if len(ids) == 1 else 'are'} not listed"
        print(f"{words}: {', '.join(map(str, ids))}. `lalald status` says what to do.", file=sys.stderr)


def job_lines(reports: Sequence[JobReport], now: float, width: int | None, *, with_reasons: bool) -> list[Line]:
    """One line for each job; `with_reasons`: a second line says why it failed or is held."""
    if not reports:
        return [[Span("No jobs.")]]
    wide = width is None or width >= _WIDE
    heads = (
        "ID",
        "STATE",
        "FILE",
        *(["RULE"] if wide else []),
        "MINUTES",
        "AGE",
        *([] if with_reasons else ["REASON"]),
    )
    places = {"ID": "right", "MINUTES": "right", "AGE": "right"}
    head = [Cell(name, "bold", "never", "right" if name in places else "left") for name in heads]
    lines = columns([head, *(_row(report, now, wide=wide, with_reason=not with_reasons) for report in reports)], width)
    if not with_reasons:
        return lines
    with_reason_lines = [lines[0]]
    for line, report in zip(lines[1:], reports, strict=True):
        reason = _reason(report)
        room = None if width is None else width - len(_INDENT)
        with_reason_lines += [line, [Span(_INDENT), Span(reason if room is None else shortened(reason, room, "end"))]]
    return with_reason_lines


def _row(report: JobReport, now: float, *, wide: bool, with_reason: bool) -> list[Cell]:
    job = report.job
    cells = [
        Cell(str(job.id), "", "never", "right"),
        Cell(_state(report), STATE_STYLES.get(report.state, "")),
        Cell(printable(job.path), "", "middle"),
        *([Cell(printable(job.rule), "", "end")] if wide else []),
        Cell(cost_text(job.minutes) if job.minutes else "-", "", "never", "right"),
        Cell(span(now - job.updated_at), "", "never", "right"),
    ]
    return [*cells, Cell(_reason(report), "", "end")] if with_reason else cells


def _state(report: JobReport) -> str:
    """State and stage in two words."""
    job = report.job
    match report.state:
        case "running":
            return f"{job.stage} {report.percent or 0.0:.0f} %"
        case "held":
            return f"held {job.hold}"
        case "done" | "cancelled":
            return report.state
        case _:
            return f"{report.state} {job.stage}"


def _reason(report: JobReport) -> str:
    job = report.job
    return printable((job.hold_reason if job.hold else job.error or warning_of(job)) or "")


def _show_json(found: Iterable[JobReport]) -> int:
    """Print one object after the other; an error on the way is the last object. Return the exit code."""
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
