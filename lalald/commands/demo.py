"""lalald at work, to be watched: progress while it runs, then what landed and what it would have cost."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lalald.commands.output.tables import Bar, Cell, Section, on_a_terminal, say, show
from lalald.errors import StoreError, UsageError
from lalald.jobs.job import State
from lalald.jobs.prices import cost_text
from lalald.store.queries import JobReport, Reports

if TYPE_CHECKING:
    from lalald.sandbox.demo import Stage

_LOOK_EVERY_SECONDS = 0.1
_ENDED = (State.DONE, State.FAILED, State.HELD, State.CANCELLED)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and keep everything there")


def run(arguments: Namespace) -> int:
    from lalald.sandbox.demo import SCENES, playing

    root = _folder(arguments.keep)
    say(f"A sandbox instead of LALAL.AI, {len(SCENES)} sounds in {root / 'inbox'}, one rule each:\n")
    began_at = time.monotonic()
    is_temporary = arguments.keep is None
    try:
        with playing(root) as stage:
            jobs = _watched(stage)
            code = stage.process.wait()
        _sum_up(stage, jobs, time.monotonic() - began_at)
        if code:
            print(
                f"\nSomething went wrong; the daemon's log:\n{stage.log.read_text(errors='replace')}", file=sys.stderr
            )
        return code
    except KeyboardInterrupt:
        print()
        say("Interrupted: the sandbox and the daemon are stopped.")
        return 130
    finally:
        if is_temporary:
            shutil.rmtree(root, ignore_errors=True)
        say(_left(root, is_temporary=is_temporary))


def _left(root: Path, *, is_temporary: bool) -> str:
    if is_temporary:
        return f"{root} was temporary and is deleted. `lalald demo --keep DIR` keeps what landed in a folder of yours."
    return f"Everything is kept in {root}."


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="lalald-demo-"))
    try:
        keep.mkdir(parents=True)
    except FileExistsError as error:
        raise UsageError(f"{keep} already exists.", hint="Name a new folder for the demo.") from error
    except OSError as error:
        raise UsageError(f"{keep} cannot be made: {error.strerror}.", hint="Name another folder.") from error
    return keep.resolve()


def _watched(stage: Stage) -> list[JobReport]:
    """Shows the jobs until the daemon has ended. Returns them as they were then."""
    looks = _looks(stage)
    if on_a_terminal():
        from lalald.commands.output import terminal

        jobs: list[JobReport] = []
        with terminal.live() as draw:
            for jobs in looks:
                draw([Section("", [_row(report) for report in jobs])])
        return jobs
    return _told_line_by_line(looks)


def _looks(stage: Stage) -> Iterator[list[JobReport]]:
    """The jobs, again and again, the last time after the daemon's end."""
    ended = False
    while not ended:
        ended = stage.process.poll() is not None
        try:
            with Reports.open(stage.state_dir) as reports:
                yield list(reports.jobs())
        except StoreError:
            yield []  # the daemon has not made its database yet
        time.sleep(0 if ended else _LOOK_EVERY_SECONDS)


def _told_line_by_line(looks: Iterator[list[JobReport]]) -> list[JobReport]:
    """Where nobody can see a bar move: a line when a job's stage changes."""
    told: dict[int, str] = {}
    jobs: list[JobReport] = []
    for jobs in looks:
        for report in jobs:
            word = _word(report)
            if told.get(report.job.id) != word:
                told[report.job.id] = word
                print(f"  {report.job.path:<24} {word}", flush=True)
    return jobs


def _word(report: JobReport) -> str:
    return str(report.state if report.job.state in _ENDED else report.job.stage)


def _row(report: JobReport) -> tuple[Cell, ...]:
    percent = 100.0 if report.job.state is State.DONE else report.percent or 0.0
    modes = " + ".join(task.mode for task in report.job.tasks)
    return (report.job.path, modes, _word(report), Bar(percent))


def _sum_up(stage: Stage, jobs: list[JobReport], seconds: float) -> None:
    print(f"\nWhat landed in {stage.outbox}:\n")
    for line in _tree(stage.outbox, lambda path: f"  {path.stat().st_size:>9,} bytes"):
        print(line)
    rows = [
        (f"  {report.job.path}", " + ".join(t.mode for t in report.job.tasks), cost_text(report.job.minutes))
        for report in jobs
    ]
    total = sum(report.job.minutes for report in jobs)
    print("\nWhat it would have cost, in minutes (duration × stems):\n")
    show([Section("", [*rows, ("  together", "", cost_text(total))])])
    say(f"\n{len(jobs)} files in {seconds:.1f} s, nothing spent. The sandbox's tracks are copies that say so.")
    say("With a real key: `lalald init ~/lalald`, which says what to do next.")


def _tree(folder: Path, told: Callable[[Path], str], indent: str = "  ") -> Iterator[str]:
    """The files below a folder as a picture."""
    with os.scandir(folder) as entries:
        found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in found:
        last = entry is found[-1]
        branch, below = ("└── ", "    ") if last else ("├── ", "│   ")
        if entry.is_dir():
            yield f"{indent}{branch}{entry.name}"
            yield from _tree(Path(entry.path), told, indent + below)
        else:
            yield f"{indent}{branch}{entry.name}{told(Path(entry.path))}"
