"""The real daemon with a wall clock that a test sets: `python stepped_clock.py CONFIG FILE`; FILE holds the offset in seconds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lalald.clock import Clock
from lalald.config import load
from lalald.daemon.daemon import run


class SteppedClock(Clock):
    """Looks at each call by how much it is turned now."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> float:
        return super().now() + float(self._file.read_text())


if __name__ == "__main__":
    sys.exit(run(load(Path(sys.argv[1]), os.environ), clock=SteppedClock(Path(sys.argv[2]))))
