"""Which rule a file belongs to: the first one whose patterns match. Pure: only names are looked at, never files."""

from __future__ import annotations

from lalald import patterns
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
