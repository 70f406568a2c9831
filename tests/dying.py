"""The real daemon with a store that kills it: `python dying.py CONFIG N` dies inside the N-th save, before its commit.

What the stage did has happened by then, and the row does not know of it: the worst moment there is.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from lalald.config import load
from lalald.daemon import run
from lalald.jobs import Job
from lalald.store import Store


def deadly(last: int) -> type[Store]:
    count = itertools.count(1)

    class DyingStore(Store):
        def save(self, before: Job, after: Job) -> Job:
            saved = super().save(before, after)
            if next(count) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return saved

    return DyingStore


if __name__ == "__main__":
    sys.exit(run(load(Path(sys.argv[1]), os.environ), once=True, open_store=deadly(int(sys.argv[2])).open))
