"""Show what was charged: by day or month, by rule, and each charge."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from lalald.commands.output.json_output import show_json
from lalald.commands.output.lines import Cell
from lalald.commands.output.printing import show_sections
from lalald.commands.output.tables import Section, number_cell, path_cell
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.jobs.spending.prices import cost_text
from lalald.reports.formatting import count, moment, printable
from lalald.reports.history.charge_history import DAYS, History, gather
from lalald.store.queries import Reports
from lalald.store.tables.charges import ChargeReport, Period, PeriodSum

_MOST_CHARGES = 20


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--month", action="store_true", help=f"by month, since the first charge; default: by day, the last {DAYS} days"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: an object with every charge")


def run(arguments: Namespace) -> int:
    now = time.time()
    with Reports.open(state_dir(arguments.config)) as reports:
        history = gather(reports, now, by_month=arguments.month)
    if arguments.json:
        show_json(history.facts())
    else:
        show_sections(_sections(history))
    return 0


def _sections(history: History) -> Iterator[Section]:
    """For people."""
    yield Section("minutes", history.minutes.rows(history.now))
    by_day = history.period is Period.DAY
    if not history.sums:
        when = f" in the last {DAYS} days; `lalald history --month` shows everything" if by_day else " yet"
        yield Section(f"Nothing was charged{when}.")
        return
    rows = [
        (one.period, printable(one.rule or "-"), number_cell(cost_text(one.minutes)), number_cell(f"{one.charges:,}"))
        for one in history.sums
    ]
    title = f"by day, the last {DAYS} days" if by_day else "by month"
    yield Section(title, rows, ("DAY" if by_day else "MONTH", "RULE", "MINUTES", "TASKS"))
    yield Section("by rule", [_rule_row(one) for one in history.by_rule()], ("RULE", "INBOX", "MINUTES", "TASKS"))
    newest = history.charges[-_MOST_CHARGES:]
    hidden = len(history.charges) - len(newest)
    older = f" (`lalald history --json` has {count(hidden, 'older charge')})" if hidden else ""
    columns = ("CHARGED", "JOB", "FILE", "MODE", "MINUTES")
    yield Section(f"charges, newest last{older}", [_charge_row(one) for one in newest], columns)


def _rule_row(one: PeriodSum) -> tuple[str | Cell, ...]:
    return (
        printable(one.rule or "-"),
        path_cell(printable(one.inbox or "-")),
        number_cell(cost_text(one.minutes)),
        number_cell(f"{one.charges:,}"),
    )


def _charge_row(charge: ChargeReport) -> tuple[str | Cell, ...]:
    return (
        moment(charge.at),
        f"#{charge.job_id}",
        path_cell(printable(charge.path)),
        charge.mode,
        number_cell(cost_text(charge.minutes)),
    )
