"""Find patterns that match nothing, or not what was meant, and suggest the pattern that was probably meant.

gitignore patterns are relative to the inbox, know no alternatives in braces, and read brackets as one character. A pattern that was
written with another syntax in mind is valid but matches nothing, so that its files go to another rule. No file is read here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

from lalald.config import patterns
from lalald.config.model import Inbox, Rule
from lalald.config.paths import filled
from lalald.media.types import MEDIA
from lalald.suggestions import quoted

MOST_MEANT = 8

_BRACES = re.compile(r"(?<!\\)\{([^{}]*,[^{}]*)(?<!\\)\}")
_RANGE = re.compile(r"(?<!\\)\{([0-9a-zA-Z])\.\.([0-9a-zA-Z])\}")
_CLASS = re.compile(r"(?<!\\)\[([^\[\]]+)\]")
_LIST = re.compile(r"\s*[,;|]\s*|\s+(?=\*\.)")
_ONE_OF_A_LIST = re.compile(r"(?:[^*,;|]*/)?\*\.[\w.-]+|[\w .-]+/")
_SEPARATOR = re.compile(r"\\+(?=\w|$)|(?<=\w)\\(?=\*\.\w+$)")
_REGULAR_EXPRESSION = re.compile(r"\^?\.\*(?:\\\.|\.)?(\w+)\$?")
_ENDING_ALONE = re.compile(r"\.(\w+)")
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong with a pattern, and the patterns that were probably meant, if known."""

    why: str
    meant: tuple[str, ...] = ()

    def message(self, pattern: str) -> str:
        return f"{quoted(pattern)} {self.why}{self.question()}"

    def question(self) -> str:
        """`. Did you mean "pod/"?`"""
        printable = " and ".join(filter(None, (", ".join(map(quoted, self.meant[:-1])), *map(quoted, self.meant[-1:]))))
        return f". Did you mean {printable}?" if self.meant else ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a pattern is checked against. `roots`: the inbox's path, as written and with symlinks resolved."""

    inbox: Inbox
    roots: tuple[Path, ...]
    environ: Mapping[str, str]


Check = Callable[[str], Advice | None]


def advice(pattern: str, context: Context, rule: Rule | None = None) -> Advice | None:
    """Advice on a pattern of `rule`, or of the inbox's `ignore`; None for a good one."""
    negated, bare = pattern.startswith("!"), pattern.removeprefix("!")
    checks: list[Check] = [
        _several, _braces, _backslashes, lambda one: _absolute(one, context), _steps, _leading_space, _brackets,
    ]  # fmt: skip
    if rule is not None and not negated:
        checks += [_hidden, lambda one: _folder(one, context.inbox), lambda one: _no_media(one, rule)]
    found = _all_of(checks, bare)
    if found is None or not negated:
        return found
    return Advice(found.why, tuple(f"!{one}" for one in found.meant))


def remedy(pattern: str) -> str:
    """A suggestion for an invalid pattern: `. Did you mean "pod/"?`, or nothing."""
    for check in (_backslashes, _brackets):
        found = check(pattern)
        if found is not None and all(map(patterns.is_pattern, found.meant)):
            return found.question()
    return ""


def _all_of(checks: Iterable[Check], pattern: str) -> Advice | None:
    """The first problem; the suggested patterns are free of the other problems too."""
    why = ""
    meant: tuple[str, ...] = (pattern,)
    for check in checks:
        found = [(one, check(one)) for one in meant]
        said = next((odd for _, odd in found if odd is not None), None)
        if said is None:
            continue
        why = why or said.why
        meant = tuple(dict.fromkeys(text for one, odd in found for text in ((one,) if odd is None else odd.meant)))
    return Advice(why, meant[:MOST_MEANT]) if why else None


def _several(pattern: str) -> Advice | None:
    parts = [part for part in _LIST.split(pattern.strip()) if part]
    if len(parts) < 2 or "{" in pattern or not all(map(_ONE_OF_A_LIST.fullmatch, parts)):
        return None
    if not any("*." in part for part in parts):
        return None  # "Simon, Garfunkel/" is one folder
    return Advice("is one pattern, not several, and matches no file", tuple(parts))


def _braces(pattern: str) -> Advice | None:
    if _RANGE.search(pattern):
        return Advice("matches only a name with these braces in it", (_RANGE.sub(r"[\1-\2]", pattern),))
    pieces = _BRACES.split(pattern)
    if len(pieces) == 1:
        return None
    choices = [piece.split(",") if place % 2 else [piece] for place, piece in enumerate(pieces)]
    meant = ("".join(choice) for choice in product(*choices))
    printable = islice(meant, MOST_MEANT)
    return Advice(
        "matches only a name with these braces in it: there are no alternatives in patterns", tuple(printable)
    )


def _backslashes(pattern: str) -> Advice | None:
    if (
        pattern.startswith("\\")
        or not _SEPARATOR.search(pattern)
        or pattern.count(r"\*") > 1
        or _REGULAR_EXPRESSION.fullmatch(pattern)
    ):
        return None
    return Advice("has backslashes, which do not separate folders", (_SEPARATOR.sub("/", pattern),))


def _absolute(pattern: str, context: Context) -> Advice | None:
    """In a path `~` and variables are expanded; in a pattern they are plain characters."""
    written = _filled(pattern, context.environ)
    why = "is not relative to the inbox, and matches no file"
    if written.startswith("/"):
        normal = os.path.normpath(written)
        for root in map(str, context.roots):
            if f"{normal}/".startswith(f"{root}/"):
                within = normal[len(root) + 1 :] + ("/" if written.endswith("/") else "")
                return Advice(why, (within,) if within.strip("/") else ())
        if any(_is_beside(normal, str(root)) for root in context.roots):
            return Advice(why)
    return Advice(why) if pattern.startswith("~/") else None


def _is_beside(path: str, root: str) -> bool:
    """Whether both share their first two folders: a folder within the inbox would hardly have such a path."""
    parts = root.split("/")
    return len(parts) > 3 and path.startswith(f"/{parts[1]}/{parts[2]}/")


def _filled(pattern: str, environ: Mapping[str, str]) -> str:
    if not pattern.startswith(("~", "$")) or "/" not in pattern:
        return pattern
    try:
        return filled(pattern, environ)
    except ValueError:
        return pattern  # `$RECYCLE.BIN/` is not a variable


def _steps(pattern: str) -> Advice | None:
    parts = pattern.split("/")
    if not {".", ".."} & set(parts):
        return None
    within: list[str] = []
    for part in parts:
        if part == "..":
            if not within:
                return Advice("leads out of the inbox, and matches no file")
            within.pop()
        elif part != ".":
            within.append(part)
    meant = "/".join(within)
    return Advice("has a part that is not a folder name, and matches no file", (meant,) if meant.strip("/") else ())


def _leading_space(pattern: str) -> Advice | None:
    if not pattern.startswith((" ", "\t")) or not pattern.strip():
        return None
    return Advice("begins with a space, and so would the names that it matches", (pattern.lstrip(),))


def _brackets(pattern: str) -> Advice | None:
    odd = [found[1] for found in _CLASS.finditer(pattern) if _is_text(found[1])]
    if not odd:
        return None
    return Advice(f"reads [{odd[0]}] as one character out of those in brackets", (escaped(pattern, only=odd),))


def _is_text(content: str) -> bool:
    """Whether brackets contain a word, a year or a phrase, and so were not meant to match one character."""
    if content.startswith(("!", "^", ":")):
        return False
    letters = [char for char in content if char.isalnum()]
    if len(letters) > len(set(letters)) or _YEAR.fullmatch(content):
        return True
    if len(letters) < 3:
        return False
    if re.search(r"\w-\w", content):  # a range, unless it runs backwards: [Live-2020]
        return not patterns.is_pattern(f"[{content}]")
    if content.isalpha() and content.istitle():
        return True
    folded = [char.casefold() for char in letters]
    return folded not in (sorted(folded), sorted(folded, reverse=True))


def escaped(pattern: str, only: Iterable[str] | None = None) -> str:
    """The pattern with literal brackets: all of them, or those with this content."""
    wanted = None if only is None else set(only)

    def literal(found: re.Match[str]) -> str:
        return rf"\[{found[1]}\]" if wanted is None or found[1] in wanted else found[0]

    return _CLASS.sub(literal, pattern)


def _hidden(pattern: str) -> Advice | None:
    if (found := _REGULAR_EXPRESSION.fullmatch(pattern)) or (
        (found := _ENDING_ALONE.fullmatch(pattern)) and found[1].lower() in MEDIA
    ):
        return Advice("matches only hidden files, which are always ignored", (f"*.{found[1]}",))
    if any(part.startswith(".") and part.strip(".") for part in pattern.split("/")):
        return Advice("matches only hidden files, which are always ignored")
    return None


def _folder(pattern: str, inbox: Inbox) -> Advice | None:
    path, is_anchored = pattern.strip("/"), "/" in pattern.rstrip("/")
    if not inbox.recursive and "/" in pattern.removeprefix("**/").lstrip("/"):
        return Advice("matches only files in folders, and the inbox is not recursive")
    for own in (inbox.outbox, inbox.done_dir, inbox.failed_dir):
        if is_anchored and own.is_relative_to(inbox.path) and f"{path}/".startswith(f"{own.relative_to(inbox.path)}/"):
            return Advice(f"matches only files in {own}, which are always ignored")
    return None


def _no_media(pattern: str, rule: Rule) -> Advice | None:
    found = re.fullmatch(r"\*\.([0-9A-Za-z]+)", pattern)
    if rule.types == "any" or found is None or found[1].lower() in MEDIA:
        return None
    return Advice(f"matches no audio or video file by its extension; types: any takes .{found[1]} files too")


def literal_match(pattern: str, names: Iterable[str]) -> str | None:
    """The first name that the pattern does not match but would with literal brackets, or None.

    Names are paths within the inbox; a folder's ends in '/'.
    """
    bare = pattern.removeprefix("!")
    meant = escaped(bare)
    if meant == bare:
        return None
    return next((name for name in names if patterns.takes((meant,), name) and not patterns.takes((bare,), name)), None)
