"""The prices of all waiting files, as JSON."""

from __future__ import annotations

from typing import Any

from lalald.reports.pricing import Plan


def plan_facts(plan: Plan, left: float | None, trouble: str | None) -> dict[str, Any]:
    return {
        "rules": [
            {
                "inbox": inbox,
                "rule": rule,
                "new": line.new,
                "waiting": line.waiting,
                "held": line.held,
                "minutes": line.minutes,
                "unknown": line.unknown,
                "unfinished": line.unfinished,
            }
            for (inbox, rule), line in plan.lines.items()
        ],
        "files": plan.files,
        "minutes": plan.minutes,
        "unknown": plan.unknown,
        "unfinished": plan.unfinished,
        "over_per_file": plan.over_per_file,
        "spent_today": plan.spent_today,
        "left_alone": dict(plan.left_alone),
        "troubles": list(plan.troubles),
        "first_scan_holds": dict(plan.first_scan_holds),
        "minutes_left": left,
        "minutes_left_error": trouble,
    }
