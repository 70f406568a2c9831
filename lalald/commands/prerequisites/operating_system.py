"""Where lalald runs: its guarantees rest on Linux interfaces (inotify, read leases, renameat2, the mount table)."""

from __future__ import annotations

import sys

from lalald.errors import UsageError


def require_linux(what: str, platform: str = sys.platform) -> None:
    """Raise UsageError, in one sentence, where `what` cannot run. `platform`: as `sys.platform` names it."""
    if platform != "linux":
        raise UsageError(
            f"{what} needs Linux, and this is {platform}.",
            hint="Run it in a container (`docker build -t lalald .`) or on a Linux machine. `lalald sandbox` and `check-config` work here.",
        )
