"""The real daemon, one of whose steps raises for every file while a file named `sick` lies beside its configuration:
`python faulty_daemon.py CONFIG STEP`."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lalald.config import load
from lalald.daemon.daemon import run
from lalald.worker.stage_steps import StageSteps

config, step = Path(sys.argv[1]), sys.argv[2]
function = getattr(StageSteps(), step)


async def faulty(*arguments: Any) -> Any:
    if config.with_name("sick").exists():
        raise ArithmeticError("it is sick")
    return await function(*arguments)


sys.exit(run(load(config, os.environ), stage_steps=replace(StageSteps(), **{step: faulty})))
