"""The daemon, which dies by a real signal while it reads a file named `deadly…`: `python crashing_reader.py CONFIG [--once]`."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

from lalald.config import load
from lalald.daemon.daemon import run
from lalald.media.durations import measure
from lalald.media.inspections import Inspections
from lalald.media.length import Length


def read(path: str) -> Length:
    if os.path.basename(path).startswith("deadly"):
        signal.raise_signal(signal.SIGSEGV)  # in this thread, as a parser's own would be
    return measure(path)


config = Path(sys.argv[1])
sys.exit(run(load(config, os.environ), once="--once" in sys.argv, open_inspections=partial(Inspections, read=read)))
