"""A figure, its reference from the same run, and how both are told."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`meets` says whether the goal is met; None where there is none to meet."""

    what: str
    measured: str
    reference: str
    goal: str
    meets: bool | None = None

    def cells(self) -> tuple[str, ...]:
        mark = {True: "", False: " **missed**", None: ""}[self.meets]
        return self.what, self.measured + mark, self.reference, self.goal


def as_text(figures: Iterable[Figure]) -> str:
    """For a terminal: one block for each figure."""
    blocks = []
    for figure in figures:
        what, measured, reference, goal = figure.cells()
        blocks.append(
            f"{what}\n  measured   {measured.replace('*', '')}\n  reference  {reference}\n  goal       {goal}"
        )
    return "\n".join(blocks)


def table(figures: Iterable[Figure]) -> str:
    """As a Markdown table, for tests/benchmarks/README.md."""
    rows: list[Sequence[str]] = [("what", "measured", "reference, same run", "goal"), ("---",) * 4]
    rows += [figure.cells() for figure in figures]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def machine() -> str:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), model)
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, Python {platform.python_version()}; load {load}"


def show(measure: Callable[[], list[Figure]]) -> None:
    """What a module does when it is run."""
    sys.stdout.write(f"{machine()}\n{as_text(measure())}\n")
