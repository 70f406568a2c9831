"""Minutes left, charged today and charged this month, as the store knows them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from lalald.jobs.spending.prices import cost_text, free_text
from lalald.reports.formatting import ago, iso
from lalald.store.queries import Reports


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minutes charged today and this month (local time), and left: the service's figure, less what was charged since."""

    today: float
    this_month: float
    left: float | None
    left_at: float | None
    since: float = 0.0

    def facts(self) -> dict[str, Any]:
        """For --json."""
        return {
            "today": self.today,
            "this_month": self.this_month,
            "left": self.left,
            "left_at": iso(self.left_at),
        }

    def rows(self, now: float) -> list[tuple[str, str]]:
        """For people."""
        left = "not known yet" if self.left is None else free_text(self.left)
        since = f", less {cost_text(self.since)} charged since" if self.since else ""
        age = "" if self.left_at is None else f" (asked {ago(self.left_at, now)}{since})"
        return [
            ("charged today", cost_text(self.today)),
            ("charged this month", cost_text(self.this_month)),
            ("left", f"{left}{age}"),
        ]


def minutes_account(reports: Reports, now: float) -> Minutes:
    """What the store knows, without a request to the service."""
    local = time.localtime(now)
    fact = reports.fact("minutes")
    left, left_at = (fact.value["left"], fact.value["at"]) if fact else (None, None)
    since = reports.spent_since(left_at) if left_at is not None else 0.0
    return Minutes(
        today=reports.spent_since(local_midnight(local.tm_year, local.tm_mon, local.tm_mday)),
        this_month=reports.spent_since(local_midnight(local.tm_year, local.tm_mon, 1)),
        left=None if left is None else max(0.0, left - since),
        left_at=left_at,
        since=since,
    )


def local_midnight(year: int, month: int, day: int) -> float:
    """The beginning of that day, with that day's daylight saving time."""
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))
