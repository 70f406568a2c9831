"""Charges: sums by day, month and rule, and single charges."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from lalald.store.rows import name_from


class Period(StrEnum):
    """The period of a sum; the value is its format in local time."""

    DAY = "%Y-%m-%d"
    MONTH = "%Y-%m"


class PeriodSum(NamedTuple):
    """Minutes charged in a day or month by one rule. `rule` is None for charges of an early version."""

    period: str
    inbox: str | None
    rule: str | None
    minutes: float
    charges: int


class ChargeReport(NamedTuple):
    """One charge; its job may have been removed from the history."""

    task_id: str
    job_id: int
    task: int
    inbox: str | None
    path: str
    rule: str | None
    mode: str
    minutes: float
    at: float


class Charges:
    """Queries about charges."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def newest(self) -> int:
        """The number of the newest charge; 0 where there is none."""
        (number,) = self.connection.execute("SELECT coalesce(max(rowid), 0) FROM charges").fetchone()
        return int(number)

    def minutes_after(self, number: int) -> float:
        """Minutes charged after that charge."""
        (minutes,) = self.connection.execute("SELECT total(minutes) FROM charges WHERE rowid > ?", (number,)).fetchone()
        return float(minutes)

    def spent_since(self, since: float) -> float:
        (found,) = self.connection.execute(
            "SELECT coalesce(sum(minutes), 0) FROM charges WHERE at >= ?", (since,)
        ).fetchone()
        return float(found)

    def sums(self, period: Period, since: float) -> list[PeriodSum]:
        """Oldest first; within a period the most expensive rule first. Days and months are local time."""
        rows = self.connection.execute(
            "SELECT strftime(?, at, 'unixepoch', 'localtime') AS period, inbox, rule, total(minutes) AS sum, count(*)"
            " FROM charges WHERE at >= ? GROUP BY period, inbox, rule ORDER BY period, sum DESC, rule",
            (str(period), since),
        )
        return [
            PeriodSum(period, _name(inbox), rule, minutes, charges) for period, inbox, rule, minutes, charges in rows
        ]

    def since(self, since: float, newest: int | None = None) -> Iterator[ChargeReport]:
        """Each of them, or the `newest`, oldest first."""
        rows = self.connection.execute(
            "SELECT * FROM (SELECT task_id, job_id, task_number, inbox, path, rule, mode, minutes, at FROM charges"
            " WHERE at >= ? ORDER BY at DESC, job_id DESC, task_number DESC LIMIT ?) ORDER BY at, job_id, task_number",
            (since, -1 if newest is None else newest),
        )
        for task_id, job_id, task, inbox, path, *rest in rows:
            yield ChargeReport(task_id, job_id, task, _name(inbox), name_from(path), *rest)


def _name(stored: str | bytes | None) -> str | None:
    return None if stored is None else name_from(stored)
