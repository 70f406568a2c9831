"""Errors and warnings of a configuration, each with its place in the file, reported together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lalald.errors import ConfigError

Where = tuple[str | int, ...]  # ("inboxes", 0, "rules", 1, "mode")


class Diagnostic(NamedTuple):
    """An error or a warning. `blocks`: the value could not be read, so further messages about it would only follow from this one."""

    line: int
    where: Where
    words: str
    blocks: bool = True


@dataclass
class Diagnostics:
    """Collects errors and warnings while a file is read.

    `lines`: the line of each key. `sources`: the environment variable that replaced a value of the file. `written_as`: the misspelled
    key that is read as a known one.
    """

    lines: Mapping[Where, int]
    sources: dict[Where, str] = field(default_factory=dict)
    written_as: dict[Where, str | int] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def add_error(self, where: Where, *words: str, blocks: bool = True) -> None:
        """Add errors of one value, unless an earlier error there, or above it, kept the value from being read."""
        written = self.as_written(where)
        if not self.has_error_at(where):
            self.errors.extend(Diagnostic(self.line(where), written, message, blocks) for message in words)

    def add_warning(self, where: Where, words: str) -> None:
        """Add a warning: allowed, but probably not intended. Not for a value with an error, from which it would only follow."""
        if not self.has_error_at(where):
            self.warnings.append(Diagnostic(self.line(where), self.as_written(where), words))

    def has_error_at(self, where: Where) -> bool:
        """Whether an error kept the value from being read."""
        written = self.as_written(where)
        return any(written[: len(error.where)] == error.where for error in self.errors if error.where and error.blocks)

    def has_error_within(self, where: Where) -> bool:
        """Whether a value, or anything in it, has an error."""
        written = self.as_written(where)
        return any(error.where[: len(written)] == written for error in self.errors)

    def as_written(self, where: Where) -> Where:
        """The path as written in the file, with its misspelled keys."""
        return tuple(self.written_as.get(where[: place + 1], step) for place, step in enumerate(where))

    def line(self, where: Where) -> int:
        """The line of a key; for a missing key, the line of its section. 0 if unknown."""
        written = self.as_written(where)
        for length in range(len(written), -1, -1):
            if written[:length] in self.lines:
                return self.lines[written[:length]]
        return 0

    def formatted(self, diagnostic: Diagnostic) -> str:
        """`line 17  inboxes[0].outpox: unknown key. Did you mean "outbox"?`"""
        source = self.sources.get(diagnostic.where)
        if source:
            return f"{source}: {diagnostic.words}"
        return ": ".join(filter(None, (_line_and_path(diagnostic), diagnostic.words)))

    def error(self, name: str) -> ConfigError:
        """One exception with every error, in the order of the file."""
        return config_error(name, [self.formatted(error) for error in sorted(self.errors, key=_line)])

    def facts(self, found: Iterable[Diagnostic]) -> list[dict[str, str | int | None]]:
        """For JSON, in the order of the file. The line is null if the value came from a variable, or from nowhere."""
        return [
            {
                "line": None if one.where in self.sources else one.line or None,
                "key": self.sources.get(one.where) or path_text(one.where),
                "message": one.words,
            }
            for one in sorted(found, key=_line)
        ]

    def formatted_warnings(self) -> tuple[str, ...]:
        return tuple(self.formatted(warning) for warning in sorted(self.warnings, key=_line))


def _line(diagnostic: Diagnostic) -> int:
    return diagnostic.line


def _line_and_path(diagnostic: Diagnostic) -> str:
    line = f"line {diagnostic.line}" if diagnostic.line else ""
    return "  ".join(filter(None, (line, path_text(diagnostic.where))))


def config_error(name: str, messages: Sequence[str]) -> ConfigError:
    """One exception that lists every message."""
    count = "1 error" if len(messages) == 1 else f"{len(messages)} errors"
    return ConfigError("\n".join([f"{name}: {count}", *(f"  {message}" for message in messages)]))


def path_text(where: Iterable[str | int]) -> str:
    """`inboxes[0].rules[1].mode`"""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{_key(step)}"
    return text.removeprefix(".")


def _key(step: str) -> str:
    printable = "".join(char if char.isprintable() else "?" for char in step)
    return printable if len(printable) <= 60 else printable[:59] + "…"
