"""Read YAML as plain data, with the line of every key, and without YAML's traps.

Unquoted values stay text (`Plain`) until their key determines the type: so `name: no` is the name "no",
`recursive: no` is false, `match: [2024]` is the folder "2024", and `1:30` is never the number 90. Keys that appear twice are errors:
YAML itself would silently use the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from lalald.config.diagnostics import Diagnostic, Where
from lalald.config.yaml.syntax_errors import OWN, explained
from lalald.config.yaml.typography import oddity

MOST_VALUES = 100_000
DEEPEST = 50

_PREFIX = "tag:yaml.org,2002:"
_MERGE = _PREFIX + "merge"
_SCALAR_TAGS = frozenset(
    _PREFIX + name for name in ("str", "bool", "int", "float", "null", "timestamp", "merge", "value")
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


class Plain(str):
    """An unquoted value as it was written."""

    __slots__ = ()


UNREAD = Plain("")
"""Replaces an invalid entry of a list, so that the others keep their positions."""


@dataclass
class Document:
    """The data of a file; `lines` has the line of each key and list entry."""

    data: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def boolean(text: str) -> bool | None:
    """An unquoted word as true or false, as YAML has always read it; None if it is neither."""
    word = text.casefold()
    return True if word in _TRUE else False if word in _FALSE else None


def number(text: str) -> int | float | None:
    """An unquoted decimal number, or None."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) and len(text) < 40 else None


def understood(value: Any) -> Any:
    """Data without declared types (presets): unquoted words and numbers as YAML reads them."""
    match value:
        case Plain():
            said = boolean(value)
            known = said if said is not None else number(value)
            return str(value) if known is None else known
        case dict():
            return {key: understood(item) for key, item in value.items()}
        case list():
            return [understood(item) for item in value]
        case _:
            return value


def read(text: str) -> Document:
    """The data of a YAML text, and its errors. Never raises."""
    document = Document()
    try:
        node = _compose(text)
        if node is not None:
            document.data = _Reader(document).value(node, ())
    except yaml.YAMLError as error:
        line, words = explained(error, text)
        document.errors.append(Diagnostic(line, (), words))
    except RecursionError:
        document.errors.append(Diagnostic(1, (), "not readable: nested too deeply"))
    return document


def _compose(text: str) -> yaml.Node | None:
    """The only document of a text. With the pure Python loader: deep nesting is an error, where the C loader may crash."""
    loader = yaml.SafeLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values_left = MOST_VALUES
        self.open: set[int] = set()

    def value(self, node: yaml.Node, where: Where) -> Any:
        line = node.start_mark.line + 1
        self.document.lines.setdefault(where, line)
        self.values_left -= 1
        if self.values_left < 0 or len(where) > DEEPEST:
            raise _too_much("too much: anchors within anchors, or nested too deeply", node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if id(node) in self.open:
            raise _too_much("an anchor that holds itself", node)
        self.open.add(id(node))
        found = self._mapping(node, where) if isinstance(node, yaml.MappingNode) else self._sequence(node, where)
        self.open.discard(id(node))
        return found

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Plain | str | None:
        if node.tag not in _SCALAR_TAGS:
            self._refuse(node, where)
            return None
        if node.style is not None:
            return str(node.value)
        if odd := oddity(node.value):
            self.document.warnings.append(Diagnostic(node.start_mark.line + 1, where, odd))
        return None if node.value in _NULLS else Plain(node.value)

    def _sequence(self, node: yaml.Node, where: Where) -> list[Any] | None:
        if node.tag != _PREFIX + "seq":
            self._refuse(node, where)
            return None
        return [self.value(item, (*where, place)) for place, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any] | None:
        if node.tag != _PREFIX + "map":
            self._refuse(node, where)
            return None
        found: dict[str, Any] = {}
        for key, item in node.value:
            if key.tag == _MERGE:
                continue
            name = self._name(key, where)
            if name is None:
                continue
            if name in found:
                self._twice(key, (*where, name))
                continue
            self.document.lines.setdefault((*where, name), key.start_mark.line + 1)
            found[name] = self.value(item, (*where, name))
        for merged in self._merged(node, where):
            found = {**merged, **found}
        return found

    def _merged(self, node: yaml.MappingNode, where: Where) -> Iterator[dict[str, Any]]:
        """The mappings that `<<: *anchor` merges, nearest first."""
        for key, item in node.value:
            if key.tag != _MERGE:
                continue
            for source in item.value if isinstance(item, yaml.SequenceNode) else [item]:
                if isinstance(source, yaml.MappingNode):
                    yield self.value(source, where) or {}
                else:
                    self._add_error(source, where, "expected a mapping after <<, such as <<: *name")

    def _name(self, key: yaml.Node, where: Where) -> str | None:
        if isinstance(key, yaml.ScalarNode) and key.tag in _SCALAR_TAGS:
            return str(key.value)
        self._add_error(
            key, where, "a key is one word, not a list or mapping; values with braces or brackets belong in quotes"
        )
        return None

    def _refuse(self, node: yaml.Node, where: Where) -> None:
        """The tag is not shown: it may be the beginning of a password."""
        self._add_error(node, where, "a value that begins with ! needs quotes; as a YAML tag it is not known here")

    def _twice(self, key: yaml.Node, where: Where) -> None:
        """The first one is used, and its errors are reported too."""
        first = self.document.lines[where]
        words = f"appears twice in the same place (first in line {first}); remove one of them"
        self.document.errors.append(Diagnostic(key.start_mark.line + 1, where, words, blocks=False))

    def _add_error(self, node: yaml.Node, where: Where, words: str) -> None:
        self.document.errors.append(Diagnostic(node.start_mark.line + 1, where, words))


def _too_much(words: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=words, problem_mark=node.start_mark, note=OWN)
