"""Which rule a file belongs to: the first one whose patterns match. Pure: only names are looked at, never files."""

from __future__ import annotations

from lalald.config import patterns
from lalald.config.model import Inbox, Rule
from lalald.media.types import is_media

__all__ = ["ignored", "is_media", "match"]


def match(inbox: Inbox, relative_path: str) -> Rule | None:
    """The rule that decides about a file, or None: it is left alone. What the inbox ignores matches no rule.

    `relative_path` is the path within the inbox, '/' between its parts; a name that is not UTF-8 holds surrogates (os.fsdecode).
    """
    if inbox.ignore and patterns.takes(inbox.ignore, relative_path):
        return None
    media = is_media(relative_path)
    return next((rule for rule in inbox.rules if (media or rule.types == "any") and _takes(rule, relative_path)), None)


def _takes(rule: Rule, relative_path: str) -> bool:
    return not rule.match or patterns.takes(rule.match, relative_path)


def ignored(inbox: Inbox, relative_path: str) -> str | None:
    """The pattern of `ignore` by which a file is never taken, or None.

    Of a folder (its path ends in '/'): the pattern by which everything within is never taken. Where a `!` might take something
    back, that is for each file to say.
    """
    if not inbox.ignore or (relative_path.endswith("/") and patterns.take_back(inbox.ignore)):
        return None
    return patterns.decisive(inbox.ignore, relative_path)


def names_folder(inbox: Inbox, folder: str) -> bool:
    """Whether a pattern of some rule names the folder, or a folder in it: `pod/live/*.wav` names `pod` and `pod/live`.

    A part that is all wildcards, such as the first one of `*/live/`, names nothing; a folder's parent is not meant by its name.
    """
    written = (pattern.removeprefix("!") for rule in inbox.rules for pattern in rule.match)
    return any(_names(pattern, folder) for pattern in written)


def _names(pattern: str, folder: str) -> bool:
    parts = pattern.strip("/").split("/")
    if "/" not in pattern.rstrip("/"):
        return _says_a_name(parts[0]) and patterns.takes((f"/{parts[0]}/",), f"{folder.rpartition('/')[2]}/")
    last_is_folder = pattern.endswith("/") or not set("*?[") & set(parts[-1])
    folders = parts if last_is_folder else parts[:-1]
    return any(
        _is_exactly("/".join(folders[: depth + 1]), folder) and any(map(_says_a_name, folders[depth:]))
        for depth in range(len(folders))
        if folders[depth] != "**"
    )


def _says_a_name(part: str) -> bool:
    return bool(part.strip("*?"))


def _is_exactly(pattern: str, folder: str) -> bool:
    """Whether a pattern takes a folder, and not only all that is in one of its parents."""
    parent = folder.rpartition("/")[0]
    taken = (f"/{pattern}/",)
    return patterns.takes(taken, f"{folder}/") and not (parent and patterns.takes(taken, f"{parent}/"))
