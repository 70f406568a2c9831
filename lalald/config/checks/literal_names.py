"""Find patterns whose brackets or leading slash were meant literally, by the names in the inbox. Only `check-config` reads folders so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice

from lalald.config.checks import pattern_advice
from lalald.config.checks.pattern_advice import Advice
from lalald.config.model import Config, Inbox
from lalald.filesystem.names import printable

MOST_NAMES = 20_000
_GLOB = re.compile(r"[*?\[]")


def warnings(config: Config) -> list[str]:
    """A line for each such pattern without a warning so far."""
    found = []
    for place, inbox in enumerate(config.inboxes):
        for where, pattern in _patterns(inbox, f"inboxes[{place}]"):
            advice = _advice(pattern, inbox)
            line = config.lines.get(where) or config.lines.get(where.rpartition("[")[0])
            if advice is not None and not any(f" {where}: " in warning for warning in config.warnings):
                found.append(f"{f'line {line}  ' if line else ''}{where}: {advice.message(pattern)}")
    return found


def _patterns(inbox: Inbox, where: str) -> Iterator[tuple[str, str]]:
    for place, pattern in enumerate(inbox.ignore):
        yield f"{where}.ignore[{place}]", pattern
    for number, rule in enumerate(inbox.rules):
        for place, pattern in enumerate(rule.match):
            yield f"{where}.rules[{number}].match[{place}]", pattern


def _advice(pattern: str, inbox: Inbox) -> Advice | None:
    bare = pattern.removeprefix("!")
    meant = pattern_advice.escaped(bare)
    if meant != bare:
        names = islice(_names(inbox), MOST_NAMES)
        name = pattern_advice.literal_match(bare, names)
        if name is not None:
            why = f"does not match {printable(name)}: brackets stand for one of the characters in them"
            return Advice(why, (("!" if bare != pattern else "") + meant,))
    folder = _GLOB.split(bare)[0].rpartition("/")[0]
    if folder.count("/") > 1 and os.path.isdir(folder) and not os.path.lexists(f"{inbox.path}{folder}"):
        return Advice("is not relative to the inbox, and matches no file there")
    return None


def _names(inbox: Inbox) -> Iterator[str]:
    """Files and folders of the inbox, a folder's name with a slash at its end; the shallow ones first."""
    waiting = [""]
    for folder in waiting:
        try:
            with os.scandir(inbox.path / folder) as entries:
                found = sorted((f"{folder}{entry.name}", entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError:
            continue
        for path, is_folder in found:
            yield f"{path}/" if is_folder else path
        if inbox.recursive and len(waiting) < MOST_NAMES:
            waiting.extend(f"{path}/" for path, is_folder in found if is_folder)
