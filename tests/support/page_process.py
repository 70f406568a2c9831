"""The page's process, as the kernel knows it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.support.running import Home


def page_of(home: Home) -> int | None:
    """The process that the home's daemon has started for its page; None while there is none."""
    assert home.process is not None
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            is_page = b"page_process" in Path(f"/proc/{name}/cmdline").read_bytes()
            if int(parent) == home.process.pid and state != "Z" and is_page:
                return int(name)
    return None
