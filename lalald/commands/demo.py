"""Run every mode through a sandbox and show the results: progress first, then the files and what they would have cost."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lalald.commands.output.lines import Cell, columns
from lalald.commands.output.printing import is_terminal, output_width, say, show, show_sections
from lalald.commands.output.tables import STATE_STYLES, Section, bar_cell, number_cell, section_lines
from lalald.commands.prerequisites.operating_system import require_linux
from lalald.errors import StoreError, UsageError
from lalald.jobs.spending.prices import cost_text
from lalald.jobs.states import State
from lalald.store.queries import Reports
from lalald.store.report_types import JobReport

if TYPE_CHECKING:
    from lalald.sandbox.demo import Demo

_POLL_SECONDS = 0.1
BAR_WIDTH = 12  # columns; the longest row then has 77 of the 80 that a terminal has at least
_ENDED = (State.DONE, State.FAILED, State.HELD, State.CANCELLED)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and keep everything there")


def run(arguments: Namespace) -> int:
    require_linux("the demo, which starts the real daemon,")
    from lalald.sandbox.demo import SCENES, run_demo

    root = _make_folder(arguments.keep)
    say(f"A sandbox instead of LALAL.AI, {len(SCENES)} sounds in {root / 'inbox'}, one rule each:\n")
    began_at = time.monotonic()
    is_temporary = arguments.keep is None
    try:
        with run_demo(root) as stage:
            jobs = _show_progress(stage)
            code = stage.process.wait()
        _show_results(stage, jobs, time.monotonic() - began_at)
        if code:
            log = stage.log.read_text(errors="replace")
            print(f"\nSomething went wrong; the daemon's log:\n{log}", file=sys.stderr)
        return code
    except KeyboardInterrupt:
        print()
        say("Interrupted: the sandbox and the daemon are stopped.")
        return 130
    finally:
        if is_temporary:
            shutil.rmtree(root, ignore_errors=True)
        say(_farewell(root, is_temporary=is_temporary))


def _farewell(root: Path, *, is_temporary: bool) -> str:
    if is_temporary:
        return f"{root} was temporary and is deleted. `lalald demo --keep DIR` keeps everything in a folder of yours."
    return f"Everything is kept in {root}."


def _make_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="lalald-demo-"))
    try:
        keep.mkdir(parents=True)
    except FileExistsError as error:
        raise UsageError(f"{keep} already exists.", hint="Name a new folder for the demo.") from error
    except OSError as error:
        raise UsageError(f"{keep} cannot be created: {error.strerror}.", hint="Name another folder.") from error
    return keep.resolve()


def _show_progress(stage: Demo) -> list[JobReport]:
    """Show the jobs until the daemon has ended. Return them as they are then."""
    snapshots = _snapshots(stage)
    if not is_terminal():
        return _print_changes(snapshots)
    from lalald.commands.output import terminal

    jobs: list[JobReport] = []
    with terminal.redrawing() as draw:
        for jobs in snapshots:
            draw(section_lines([Section("", [_row(report) for report in jobs])], output_width()))
    return jobs


def _snapshots(stage: Demo) -> Iterator[list[JobReport]]:
    """The jobs, again and again, the last time after the daemon's end."""
    ended = False
    while not ended:
        ended = stage.process.poll() is not None
        try:
            with Reports.open(stage.state_dir) as reports:
                yield list(reports.jobs())
        except StoreError:
            yield []  # the daemon has not created its database yet
        time.sleep(0 if ended else _POLL_SECONDS)


def _print_changes(snapshots: Iterator[list[JobReport]]) -> list[JobReport]:
    """Without a terminal: print a line when a job's stage changes. Return the jobs at the end."""
    printed: dict[int, str] = {}
    jobs: list[JobReport] = []
    for jobs in snapshots:
        for report in jobs:
            word = _state_or_stage(report)
            if printed.get(report.job.id) != word:
                printed[report.job.id] = word
                print(f"  {report.job.path:<24} {word}", flush=True)
    return jobs


def _state_or_stage(report: JobReport) -> str:
    return str(report.state if report.job.state in _ENDED else report.job.stage)


def _row(report: JobReport) -> tuple[str | Cell, ...]:
    percent = 100.0 if report.job.state is State.DONE else report.percent or 0.0
    word = _state_or_stage(report)
    return report.job.path, _modes(report), Cell(word, STATE_STYLES.get(word, "")), bar_cell(percent, BAR_WIDTH)


def _modes(report: JobReport) -> str:
    return " + ".join(task.mode for task in report.job.tasks)


def _show_results(stage: Demo, jobs: list[JobReport], seconds: float) -> None:
    print(f"\nThe results in {stage.outbox}:\n")
    show(columns(list(_tree(stage.outbox)), None))
    rows = [(report.job.path, _modes(report), number_cell(cost_text(report.job.minutes))) for report in jobs]
    total = cost_text(sum(report.job.minutes for report in jobs))
    print()
    costs = Section(
        "What they would have cost, in minutes (duration × stems):", [*rows, ("total", "", number_cell(total))]
    )
    show_sections([costs])
    say(f"\n{len(jobs)} files in {seconds:.1f} s, nothing spent. The sandbox's tracks are copies and say so.")
    say("To use it with a real key, run `lalald init ~/lalald`: it says what to do next.")


def _tree(folder: Path, indent: str = "  ") -> Iterator[Sequence[Cell]]:
    """The files below a folder, drawn as a tree, with their sizes."""
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        branch, below = ("└── ", "    ") if entry is entries[-1] else ("├── ", "│   ")
        name = Cell(f"{indent}{branch}{entry.name}")
        if entry.is_dir():
            yield (name,)
            yield from _tree(Path(entry.path), indent + below)
        else:
            yield name, number_cell(f"{entry.stat().st_size:,} bytes")
