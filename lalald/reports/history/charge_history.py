"""What was charged: by day or month, by rule, and each charge."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lalald.reports.formatting import iso
from lalald.reports.minutes_account import Minutes, local_midnight, minutes_account
from lalald.store.queries import Reports
from lalald.store.tables.charges import ChargeReport, Charges, Period, PeriodSum

DAYS = 30


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
            "rules": [_sum_facts(one) for one in self.by_rule()],
            "charges": [_charge_facts(charge) for charge in self.charges],
        }

    def by_rule(self) -> list[PeriodSum]:
        """The sums of all periods, the dearest rule first."""
        sums: dict[tuple[str | None, str | None], PeriodSum] = {}
        for one in self.sums:
            before = sums.get((one.inbox, one.rule))
            minutes, charges = (before.minutes, before.charges) if before else (0.0, 0)
            sums[one.inbox, one.rule] = one._replace(minutes=minutes + one.minutes, charges=charges + one.charges)
        return sorted(sums.values(), key=lambda one: -one.minutes)


def gather(reports: Reports, now: float, *, by_month: bool, newest: int | None = None) -> History:
    """The last 30 days by day, or everything by month; each charge, or the `newest` of them."""
    local = time.localtime(now)
    since = 0.0 if by_month else local_midnight(local.tm_year, local.tm_mon, local.tm_mday - DAYS + 1)
    period, charges = (Period.MONTH if by_month else Period.DAY), Charges(reports.connection)
    listed = list(charges.since(since, newest))
    return History(period, minutes_account(reports, now), charges.sums(period, since), listed, now)


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
