"""The real daemon with short limits for folders that do not answer: `python fast_loop.py CONFIG`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from lalald.config import load
from lalald.daemon.daemon import run
from lalald.filesystem.mount_pools import MountPools

sys.exit(run(load(Path(sys.argv[1]), os.environ), open_disks=partial(MountPools, slow_seconds=0.3, probe_seconds=1.0)))
