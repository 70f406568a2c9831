"""Find the rule of a file: the first one whose patterns match. Pure: it uses names only, never files."""

from __future__ import annotations

from lalald.config import patterns
from lalald.config.model import Inbox, Rule
from lalald.media.types import is_media

__all__ = ["ignored", "is_media", "match"]


def match(inbox: Inbox, relative_path: str) -> Rule | None:
    """The rule that matches a file, or None. What the inbox ignores matches no rule.

    `relative_path` is relative to the inbox, with '/' between its parts; a name that is not UTF-8 has surrogates (os.fsdecode).
    """
    if inbox.ignore and patterns.takes(inbox.ignore, relative_path):
        return None
    media = is_media(relative_path)
    return next(
        (rule for rule in inbox.rules if (media or rule.types == "any") and _matches(rule, relative_path)), None
    )


def _matches(rule: Rule, relative_path: str) -> bool:
    return not rule.match or patterns.takes(rule.match, relative_path)


def ignored(inbox: Inbox, relative_path: str) -> str | None:
    """The pattern of `ignore` that excludes a file, or None.

    For a folder (its path ends in '/'): the pattern that excludes everything in it; None if a `!` pattern might include a file of it.
    """
    if not inbox.ignore or (relative_path.endswith("/") and patterns.take_back(inbox.ignore)):
        return None
    return patterns.decisive(inbox.ignore, relative_path)


def names_folder(inbox: Inbox, folder: str) -> bool:
    """Whether a pattern of some rule names the folder, or a folder in it: `pod/live/*.wav` names `pod` and `pod/live`.

    A part of only wildcards, such as the first one of `*/live/`, names nothing; a pattern that names a folder does not name its parent.
    """
    all_patterns = (pattern.removeprefix("!") for rule in inbox.rules for pattern in rule.match)
    return any(_names(pattern, folder) for pattern in all_patterns)


def _names(pattern: str, folder: str) -> bool:
    parts = pattern.strip("/").split("/")
    if "/" not in pattern.rstrip("/"):
        return _has_a_name(parts[0]) and patterns.takes((f"/{parts[0]}/",), f"{folder.rpartition('/')[2]}/")
    last_is_folder = pattern.endswith("/") or not set("*?[") & set(parts[-1])
    folders = parts if last_is_folder else parts[:-1]
    return any(
        _is_exactly("/".join(folders[: depth + 1]), folder) and any(map(_has_a_name, folders[depth:]))
        for depth in range(len(folders))
        if folders[depth] != "**"
    )


def _has_a_name(part: str) -> bool:
    return bool(part.strip("*?"))


def _is_exactly(pattern: str, folder: str) -> bool:
    """Whether a pattern matches this folder itself, and not only everything in a parent of it."""
    parent = folder.rpartition("/")[0]
    exact = (f"/{pattern}/",)
    return patterns.takes(exact, f"{folder}/") and not (parent and patterns.takes(exact, f"{parent}/"))
