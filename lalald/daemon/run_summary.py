"""The result of a `run --once`: for people on standard output, for programs as the last line of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lalald.filesystem.names import printable
from lalald.jobs.spending.prices import cost_text


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Jobs that ended in this run, jobs that are held or wait after it, and the minutes that were charged."""

    done: int
    failed: int
    held: Mapping[str, int]
    waiting: int
    minutes: float
    outboxes: Sequence[str]

    def facts(self) -> dict[str, Any]:
        """For the log."""
        return {
            "done": self.done,
            "failed": self.failed,
            "held": sum(self.held.values()),
            "holds": dict(self.held),
            "waiting": self.waiting,
            "minutes": round(self.minutes, 3),
            "outboxes": list(self.outboxes),
        }

    def text(self) -> str:
        """For people: one line for each fact that needs a person."""
        lines = [f"{self.done:,} done, {cost_text(self.minutes)} minutes charged."]
        if self.done:
            lines.append(f"Results: {', '.join(map(printable, self.outboxes))}")
        if self.failed:
            lines.append(f"{self.failed:,} failed: see `lalald jobs --failed`.")
        if self.held:
            kinds = ", ".join(f"{kind} {jobs:,}" for kind, jobs in sorted(self.held.items()))
            lines.append(f"{sum(self.held.values()):,} held ({kinds}): see `lalald jobs --held`.")
        if self.waiting:
            lines.append(f"{self.waiting:,} not finished: `lalald run` resumes them.")
        return "\n".join(lines)
