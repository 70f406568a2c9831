"""`lalald health`, which a container's HEALTHCHECK runs every few seconds."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import daemon, folder

SMALL = {"rounds": 2}
GOAL_MS = 60


def measure(*, rounds: int = 30) -> list[Figure]:
    """As in a container, where the environment names the state folder, and with a configuration file to be read for it."""
    program = Path(sys.executable).with_name("lalald")
    command = [str(program), "health"] if program.exists() else [sys.executable, "-m", "lalald", "health"]
    with folder() as root, sink.running() as service, daemon(root, service.url) as home:
        told = {**home.environ, "LALALD_STATE_DIR": str(home.state)}
        ways = {
            "told": lambda: _milliseconds(command, told),
            "read": lambda: _milliseconds(command, home.environ),
            "python": lambda: _milliseconds([sys.executable, "-c", "pass"], dict(os.environ)),
        }
        taken = {name: [way() for way in ways.values()] for name in range(rounds)}
    medians = dict(zip(ways, (statistics.median(column) for column in zip(*taken.values(), strict=True)), strict=True))
    return [
        Figure(
            f"`lalald health`, {how}",
            f"{medians[name]:.0f} ms",
            f"Python's own start: {medians['python']:.0f} ms",
            f"≤ {GOAL_MS} ms",
            medians[name] <= GOAL_MS,
        )
        for name, how in (("told", "state folder in the environment"), ("read", "state folder in the configuration"))
    ]


def _milliseconds(command: list[str], environ: dict[str, str]) -> float:
    began_at = time.monotonic()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began_at) * 1000


if __name__ == "__main__":
    show(measure)
