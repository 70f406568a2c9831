"""What was charged: by day or month, by rule, and each charge."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lalald.commands.access.state_folder import state_dir
from lalald.commands.output.json_output import show_json
from lalald.commands.output.tables import Cell, PathCell, Section, show
from lalald.jobs.prices import cost_text
from lalald.reports.formatting import count, iso, moment, printable
from lalald.reports.minutes_account import Minutes, local_midnight, minutes_account
from lalald.store.charges import ChargeReport, Charges, Period, PeriodSum
from lalald.store.queries import Reports

_DAYS = 30
_MOST_CHARGES = 20


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--month", action="store_true", help=f"by month, since the first charge; default: by day, the last {_DAYS} days"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: an object with every charge")


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was charged since some day."""

    period: Period
    minutes: Minutes
    sums: Sequence[PeriodSum]
    charges: Sequence[ChargeReport]
    now: float

    def facts(self) -> dict[str, Any]:
        """For --json."""
        key = "day" if self.period is Period.DAY else "month"
        return {
            "minutes": self.minutes.facts(),
            f"{key}s": [{key: one.period, **_sum_facts(one)} for one in self.sums],
            "rules": [_sum_facts(one) for one in self._by_rule()],
            "charges": [_charge_facts(charge) for charge in self.charges],
        }

    def sections(self) -> Iterator[Section]:
        """For people."""
        yield Section("minutes", self.minutes.rows(self.now))
        by_day = self.period is Period.DAY
        if not self.sums:
            when = f" in the last {_DAYS} days; `lalald history --month` shows everything" if by_day else " yet"
            yield Section(f"Nothing was charged{when}.")
            return
        rows = [
            (one.period, printable(one.rule or "-"), cost_text(one.minutes), f"{one.charges:,}") for one in self.sums
        ]
        title = f"by day, the last {_DAYS} days" if by_day else "by month"
        yield Section(title, rows, ("DAY" if by_day else "MONTH", "RULE", "MINUTES", "TASKS"))
        yield Section("by rule", [_rule_row(one) for one in self._by_rule()], ("RULE", "INBOX", "MINUTES", "TASKS"))
        shown_ones = self.charges[-_MOST_CHARGES:]
        hidden = len(self.charges) - len(shown_ones)
        older = f" (`lalald history --json` has {count(hidden, 'older one')}, too)" if hidden else ""
        columns = ("CHARGED", "JOB", "FILE", "MODE", "MINUTES")
        yield Section(f"charges, newest last{older}", [_charge_row(one) for one in shown_ones], columns)

    def _by_rule(self) -> list[PeriodSum]:
        """The sums of all periods, the dearest rule first."""
        sums: dict[tuple[str | None, str | None], PeriodSum] = {}
        for one in self.sums:
            before = sums.get((one.inbox, one.rule))
            minutes, charges = (before.minutes, before.charges) if before else (0.0, 0)
            sums[one.inbox, one.rule] = one._replace(minutes=minutes + one.minutes, charges=charges + one.charges)
        return sorted(sums.values(), key=lambda one: -one.minutes)


def run(arguments: Namespace) -> int:
    now = time.time()
    with Reports.open(state_dir(arguments.config)) as reports:
        history = gather(reports, now, by_month=arguments.month)
    if arguments.json:
        show_json(history.facts())
    else:
        show(history.sections())
    return 0


def gather(reports: Reports, now: float, *, by_month: bool) -> History:
    """The last 30 days by day, or everything by month."""
    local = time.localtime(now)
    since = 0.0 if by_month else local_midnight(local.tm_year, local.tm_mon, local.tm_mday - _DAYS + 1)
    period, charges = (Period.MONTH if by_month else Period.DAY), Charges(reports.connection)
    return History(period, minutes_account(reports, now), charges.sums(period, since), list(charges.since(since)), now)


def _sum_facts(one: PeriodSum) -> dict[str, Any]:
    return {"inbox": one.inbox, "rule": one.rule, "minutes": one.minutes, "tasks": one.charges}


def _charge_facts(charge: ChargeReport) -> dict[str, Any]:
    return {
        "at": iso(charge.at),
        "job": charge.job_id,
        "task": charge.task,
        "task_id": charge.task_id,
        "inbox": charge.inbox,
        "path": charge.path,
        "rule": charge.rule,
        "mode": charge.mode,
        "minutes": charge.minutes,
    }


def _rule_row(one: PeriodSum) -> tuple[Cell, ...]:
    return printable(one.rule or "-"), PathCell(printable(one.inbox or "-")), cost_text(one.minutes), f"{one.charges:,}"


def _charge_row(charge: ChargeReport) -> tuple[Cell, ...]:
    return (
        moment(charge.at),
        f"#{charge.job_id}",
        PathCell(printable(charge.path)),
        charge.mode,
        cost_text(charge.minutes),
    )
