"""Report an error, as a sentence with its hint or as JSON, and choose its exit code."""

from __future__ import annotations

import os
import sys

from lalald.daemon.log.journal import as_error
from lalald.daemon.process import streams
from lalald.errors import (
    ConfigError,
    DaemonError,
    LalaldError,
    LicenseRefusedError,
    StoreError,
    StoreRefusedError,
    UsageError,
)

_CODES: tuple[tuple[type[LalaldError], int], ...] = (
    (UsageError, 2),
    (ConfigError, 2),
    (LicenseRefusedError, 2),
    (DaemonError, 3),
    (StoreRefusedError, 2),
    (StoreError, 3),
)


def report(error: LalaldError, *, json_wanted: bool = False) -> int:
    """Print what happened and what to do next: on standard error, or as JSON on standard output. Return the exit code."""
    if json_wanted:
        from lalald.commands.output.json_output import error_facts, show_json

        show_json(error_facts(error))
    unwritten = streams.flush_answer()
    if not json_wanted or unwritten is not None:
        complain(error)
    return exit_code_of(error)


def exit_code_of(error: LalaldError) -> int:
    """2 for usage and configuration, 3 if the daemon or its state cannot be reached, else 1."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


def complain(error: LalaldError) -> None:
    """Print what happened and what to do next on standard error."""
    said = f"lalald: {error}" + (f"\n  {error.hint}" if error.hint else "")
    safe = "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in said)
    if sys.stderr.isatty():
        from lalald.commands.output.wrapping import terminal_width, wrapped

        safe = wrapped(safe, terminal_width(sys.stderr))
    print(as_error(f"{safe}\n", os.environ), end="", file=sys.stderr)
