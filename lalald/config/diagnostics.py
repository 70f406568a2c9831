"""Mistakes of a configuration: where each stands, and how all of them are told at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lalald.errors import ConfigError

Where = tuple[str | int, ...]  # ("inboxes", 0, "rules", 1, "mode")


class Mistake(NamedTuple):
    """`blocks`: the value there was not read, so that whatever else is said of it would only follow from this."""

    line: int
    where: Where
    words: str
    blocks: bool = True


@dataclass
class Findings:
    """Collects mistakes and warnings while a file is read. `lines` has the line of each key, `sources` the environment variable
    that gave a value instead of the file, `written_as` the misspelled key that stands for a known one."""

    lines: Mapping[Where, int]
    sources: dict[Where, str] = field(default_factory=dict)
    written_as: dict[Where, str | int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def mistake(self, where: Where, *words: str, blocks: bool = True) -> None:
        """Notes mistakes of one value, unless that value was not read because of an earlier one, there or above it."""
        written = self.as_written(where)
        if not self.mistaken(where):
            self.mistakes.extend(Mistake(self.line(where), written, said, blocks) for said in words)

    def warn(self, where: Where, words: str) -> None:
        """Notes what is allowed but odd. What is said of a mistaken value would only follow from the mistake."""
        if not self.mistaken(where):
            self.warnings.append(Mistake(self.line(where), self.as_written(where), words))

    def mistaken(self, where: Where) -> bool:
        """Whether the value there was not read."""
        written = self.as_written(where)
        return any(
            written[: len(mistake.where)] == mistake.where
            for mistake in self.mistakes
            if mistake.where and mistake.blocks
        )

    def mistaken_within(self, where: Where) -> bool:
        """Whether something was noted of a value, or of anything in it."""
        written = self.as_written(where)
        return any(mistake.where[: len(written)] == written for mistake in self.mistakes)

    def as_written(self, where: Where) -> Where:
        """The path as it stands in the file, with its misspelled keys."""
        return tuple(self.written_as.get(where[: place + 1], step) for place, step in enumerate(where))

    def line(self, where: Where) -> int:
        """The line of a key; of what is not there, the line of what it would stand in. 0 where nothing is known."""
        written = self.as_written(where)
        for length in range(len(written), -1, -1):
            if written[:length] in self.lines:
                return self.lines[written[:length]]
        return 0

    def told(self, found: Mistake) -> str:
        """`line 17  inboxes[0].outpox: unknown key. Did you mean "outbox"?`"""
        source = self.sources.get(found.where)
        if source:
            return f"{source}: {found.words}"
        return ": ".join(filter(None, (_line_and_path(found), found.words)))

    def error(self, name: str) -> ConfigError:
        """One error with every mistake, in the order of the file."""
        return config_error(name, [self.told(mistake) for mistake in sorted(self.mistakes, key=_line)])

    def facts(self, found: Iterable[Mistake]) -> list[dict[str, str | int | None]]:
        """Each with its line in the file, null where a variable or nothing gave the value, in the order of the file."""
        return [
            {
                "line": None if one.where in self.sources else one.line or None,
                "key": self.sources.get(one.where) or spelled(one.where),
                "message": one.words,
            }
            for one in sorted(found, key=_line)
        ]

    def told_warnings(self) -> tuple[str, ...]:
        return tuple(self.told(warning) for warning in sorted(self.warnings, key=_line))


def _line(found: Mistake) -> int:
    return found.line


def _line_and_path(found: Mistake) -> str:
    line = f"line {found.line}" if found.line else ""
    return "  ".join(filter(None, (line, spelled(found.where))))


def config_error(name: str, told: Sequence[str]) -> ConfigError:
    """One error that lists everything."""
    many = "1 error" if len(told) == 1 else f"{len(told)} errors"
    return ConfigError("\n".join([f"{name}: {many}", *(f"  {line}" for line in told)]))


def spelled(where: Iterable[str | int]) -> str:
    """`inboxes[0].rules[1].mode`"""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{_key(step)}"
    return text.removeprefix(".")


def _key(step: str) -> str:
    printable = "".join(char if char.isprintable() else "?" for char in step)
    return printable if len(printable) <= 60 else printable[:59] + "…"
