"""Set up the log: lines for people on a terminal and in a container, one JSON object per line elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from lalald.config.model import Log
from lalald.daemon.log.journal import PRIORITIES, is_standard_error
from lalald.daemon.log.log_format import console_renderer, ordered
from lalald.daemon.log.log_output import LogStream

_LEVELS = {level: place for place, level in enumerate(PRIORITIES)}


class LogSettings:
    """How events become lines on standard error. `change` applies to loggers that were made before, too."""

    def __init__(self, settings: Log, environ: Mapping[str, str], *, auto_for_people: bool = False) -> None:
        """`auto_for_people`: `format: auto` is for people even where there is no terminal."""
        self._environ = environ
        self._auto_for_people = auto_for_people
        self._stream: Any = sys.stderr
        self.change(settings)
        if isinstance(self._stream, LogStream):
            self._stream.describe_loss = self._loss

    def change(self, settings: Log) -> None:
        """Use these settings from now on."""
        structlog = _structlog()
        console = settings.format == "console" or (
            settings.format == "auto" and (self._auto_for_people or sys.stderr.isatty())
        )
        steps: list[Any] = [structlog.processors.ExceptionRenderer()]
        if console:
            steps.append(
                console_renderer(colors=_wants_colors(self._environ), dates=not sys.stderr.isatty(), now=datetime.now)
            )
        else:
            time = structlog.processors.TimeStamper(fmt="iso", utc=True)
            steps += [structlog.processors.add_log_level, time, ordered, structlog.processors.JSONRenderer()]
        if is_standard_error(self._environ):
            steps.append(_with_priority)
        self.for_people = console
        self._least, self._steps = _LEVELS[settings.level], steps

    def log(self) -> Any:
        """The daemon's log: structlog's bound logger."""
        structlog = _structlog()
        structlog.configure(
            processors=[self._line],
            wrapper_class=structlog.make_filtering_bound_logger("debug"),
            logger_factory=lambda *_: _LineWriter(self._stream),
            cache_logger_on_first_use=False,
        )
        return structlog.get_logger().bind()  # bound here: else structlog would bind it for each line

    def _line(self, logger: object, method: str, facts: Any) -> Any:
        if _LEVELS[method] < self._least:
            raise _structlog().DropEvent
        return self._rendered(logger, method, facts)

    def _rendered(self, logger: object, method: str, facts: Any) -> Any:
        for step in self._steps:
            facts = step(logger, method, facts)
        return facts

    def _loss(self, count: int, reason: str) -> str:
        """The line that reports lost lines; at every level: without it the log would seem complete."""
        facts = {"event": "log.lines_lost", "lines": count, "reason": reason}
        return f"{self._rendered(None, 'warning', facts)}\n"


class _LineWriter:
    """Writes the finished lines. An error waits a moment until it is written: it may be the last line."""

    def __init__(self, stream: Any) -> None:
        self.debug = self.info = self.warning = _writer_to(stream.write)
        self.error = self.critical = _writer_to(stream.write_now if isinstance(stream, LogStream) else stream.write)


def _writer_to(write: Callable[[str], object]) -> Callable[[str], None]:
    def write_line(line: str) -> None:
        write(f"{line}\n")

    return write_line


def _structlog() -> Any:
    """Import structlog without what it would load if installed: rich (tracebacks in colors) and greenlet (with a C++ library, 1 MiB)."""
    for unwanted in ("rich", "greenlet"):
        sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type] # None makes the import fail
    import structlog

    return structlog


def _with_priority(_logger: object, method: str, line: str) -> str:
    priority = PRIORITIES.get(method, "<6>")
    return priority + line.replace("\n", f"\n{priority}")  # an event with a traceback has several lines


def _wants_colors(environ: Mapping[str, str]) -> bool:
    """On a terminal with colors, unless NO_COLOR (no-color.org) is set."""
    return sys.stderr.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
