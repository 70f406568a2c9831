"""Lines for systemd's journal: each may begin with its priority. One without has the unit's `SyslogLevel=`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

# sd-daemon(3): a line that begins with <N> has that priority in the journal
PRIORITIES = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}


def is_standard_error(environ: Mapping[str, str]) -> bool:
    """Whether standard error is connected to the journal: systemd puts its device and inode into JOURNAL_STREAM."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        facts = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # it was closed
        return False
    return (device, inode) == (str(facts.st_dev), str(facts.st_ino))


def as_error(text: str, environ: Mapping[str, str]) -> str:
    """Text besides the events of the log, such as a traceback: in the journal each of its lines gets the priority of an error."""
    if not is_standard_error(environ):
        return text
    return "".join(f"{PRIORITIES['error']}{line}" for line in text.splitlines(keepends=True))


def write_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As `sys.excepthook`: write the traceback of the exception that ends the program."""
    sys.stderr.write(as_error("".join(traceback.format_exception(kind, error, trace)), os.environ))
