"""Durations, sizes and rates as people write them: `90d`, `1h30m`, `10GiB`, `2MB`.

Each `parse_…` raises ValueError with a sentence for the person who wrote it. Each `parse_…` reads what its `format_…` writes.
"""

from __future__ import annotations

import math
import re

from lalald.suggestions import quoted

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_BYTES |= {"KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "TIB": 1024**4}

_NUMBER = r"(?:\d{1,18}(?:\.\d{1,9})?|\.\d{1,9})"
_PLAIN_NUMBER = re.compile(_NUMBER)
_DURATION_PART = re.compile(rf"({_NUMBER})\s*(ms|[smhdw])\s*", re.ASCII)
_CLOCK = re.compile(r"\d+(?::\d\d)+", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([KMGT]i?)?(B)?", re.ASCII | re.IGNORECASE)
_RATE_TAIL = re.compile(r"\s*/\s*[sS]$|(?<=B)ps$")  # mbps are megabits to most

LONGEST_DURATION_SECONDS = 100 * 365 * 86400.0

DURATION_PATTERN = r"^\s*((\d+(\.\d+)?|\.\d+)\s*(ms|[smhdw])\s*)+$|^\s*(\d+(\.\d+)?|\.\d+)\s*$"
SIZE_PATTERN = r"^\s*(\d+(\.\d+)?|\.\d+)\s*([KMGTkmgt]i?[Bb]|[Bb])?\s*$"
RATE_PATTERN = r"^\s*(\d+(\.\d+)?|\.\d+)\s*([KMGTkmgt]i?(B|b|Bps)|B|b|Bps)?\s*(/\s*[sS])?\s*$"


def parse_duration(text: str) -> float:
    """Seconds: `5s`, `10m`, `1h30m`, `250ms`, or a bare number of seconds.

    Raises:
        ValueError: it is not a duration, or longer than a hundred years.
    """
    written = text.strip()
    seconds = float(written) if _PLAIN_NUMBER.fullmatch(written) else _sum_of_parts(written)
    if seconds is None:
        clock = " (write 1m30s for one minute and a half)" if _CLOCK.fullmatch(written) else ""
        raise ValueError(f"expected a duration such as 5s, 10m, 24h or 90d, got {quoted(text)}{clock}")
    if seconds > LONGEST_DURATION_SECONDS:
        raise ValueError(f"expected a duration of at most a hundred years, got {quoted(text)}")
    return seconds


def _sum_of_parts(written: str) -> float | None:
    seconds, end = 0.0, 0
    while part := _DURATION_PART.match(written, end):
        seconds += float(part[1]) * _SECONDS[part[2]]
        end = part.end()
    return seconds if end == len(written) and end else None


def format_duration(seconds: float) -> str:
    """The shortest text that parses to the same time, to the millisecond: `1h30m`, `1.5s`, `250ms`, `90d`."""
    left = round(seconds * 1000)
    if left <= 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m"):
        many, left = divmod(left, round(_SECONDS[unit] * 1000))
        parts += [f"{many}{unit}"] if many else []
    if left and not parts and left < 1000:
        return f"{left}ms"
    return "".join(parts) + (f"{left / 1000:.3f}".rstrip("0").rstrip(".") + "s" if left else "")


def parse_size(text: str) -> int:
    """Bytes: `500MB` (thousands), `10GiB` (1024s), or a bare number of bytes.

    Raises:
        ValueError: it is not a size. `Mb` and bare letters are refused: to some they mean bits, thousands or 1024s.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or (found[2] and not _clear_unit(found[2], found[3])):
        raise ValueError(f"expected a size such as 500MB or 10GiB, got {quoted(text)}")
    unit = f"{found[2] or ''}B".upper()
    return round(float(found[1]) * _BYTES[unit]) if "." in found[1] else int(found[1]) * _BYTES[unit]


def _clear_unit(prefix: str, letter: str | None) -> bool:
    return letter == "B" or (letter == "b" and prefix.islower())


def format_size(size_bytes: int) -> str:
    """A size for people, in thousands, to one decimal: `500 MB`, `9.4 MB`, `12 B`."""
    for power, unit in enumerate(("B", "kB", "MB", "GB")):
        number = f"{size_bytes / 1000**power:.1f}".removesuffix(".0")
        if float(number) < 1000:
            return f"{number} {unit}"
    return f"{size_bytes / 1000**4:.1f}".removesuffix(".0") + " TB"


def parse_rate(text: str) -> int:
    """Bytes per second: a size above zero, with or without `/s`.

    Raises:
        ValueError: it is not a rate.
    """
    try:
        rate = parse_size(_RATE_TAIL.sub("", text))
    except ValueError:
        raise ValueError(f"expected a rate such as 500KB or 2MB (bytes per second), got {quoted(text)}") from None
    if rate < 1:
        raise ValueError(f"expected a rate above nothing, or null for no limit, got {quoted(text)}")
    return rate


def format_rate(bytes_per_second: float) -> str:
    return f"{format_size(math.ceil(bytes_per_second))}/s"
