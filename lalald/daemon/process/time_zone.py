"""Check that TZ names a time zone: the C library silently uses UTC for an unknown one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_FOLDER = "/usr/share/zoneinfo"
_RULE = re.compile(
    r"(?:<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})[+-]?\d{1,3}(?::\d{2}){0,2}.*"
)  # POSIX: CET-1CEST,M3.5.0,M10.5.0/3


def unknown_time_zone(environ: Mapping[str, str]) -> str | None:
    """The value of TZ if it is not a time zone (tzset(3)); None if it is, or is not set."""
    value = environ.get("TZ", "")
    name = value.removeprefix(":")
    if not name or _RULE.fullmatch(name):
        return None
    try:
        with open(os.path.join(environ.get("TZDIR") or _FOLDER, name), "rb") as file:
            return None if file.read(4) == b"TZif" else value
    except (OSError, ValueError):
        return value
