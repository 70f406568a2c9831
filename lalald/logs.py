"""Log lines: for people on a terminal, one JSON object each elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from lalald.config.model import Log

# sd-daemon(3): a line that begins with <N> has that priority in the journal
_PRIORITIES = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}


def configure(settings: Log, environ: Mapping[str, str]) -> Any:
    """The daemon's log, on standard error. Returns structlog's bound logger."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # structlog would load it for tracebacks that the daemon never prints
    import structlog

    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not console),  # people read their own clock, programs read UTC
        structlog.processors.ExceptionRenderer(),
    ]
    if console:
        # without padding: a watched log is read from left to right
        render: list[Any] = [_printable, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)]
    else:
        render = [structlog.processors.JSONRenderer(sort_keys=False)]
        if _to_the_journal(environ):
            render.append(_with_priority)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    return structlog.get_logger().bind()  # bound once: what get_logger gives is bound anew for each line


def _to_the_journal(environ: Mapping[str, str]) -> bool:
    """Whether standard error is the journal's own stream: systemd names its device and inode in JOURNAL_STREAM."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    facts = os.fstat(sys.stderr.fileno())
    return (device, inode) == (str(facts.st_dev), str(facts.st_ino))


def _with_priority(_logger: object, method: str, line: str) -> str:
    return _PRIORITIES.get(method, "<6>") + line


def _printable(_logger: object, _method: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Names of files may hold anything: nothing of it reaches a terminal raw."""
    return {
        key: _escaped(value) if isinstance(value, str) and key != "exception" else value for key, value in facts.items()
    }


def _escaped(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape", "backslashreplace").decode("ascii")
