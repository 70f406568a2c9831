"""Explain why a file is processed or not. Intake decides by the same functions, so that explanation and decision agree."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lalald.config import Inbox, Rule
from lalald.filesystem.file_numbers import int64
from lalald.filesystem.names import printable
from lalald.inbox.selection import excluded_names, partial_downloads, rules
from lalald.store import KnownFile, SkipReason

NO_RULE = "no rule matches it"
EMPTY = "it is empty"
NO_MEDIA = "not an audio or video file (by extension), and no rule takes other types"
WAS_THERE = "it was in the inbox before the first scan"
EXISTING_SKIP = f"existing: skip: {WAS_THERE}"
CHANGED_SKIP = "changed: skip: its content changed after it was first processed"
FORMER = (
    "a folder that lalald put results, finished or failed files into before the configuration was changed; "
    "move it elsewhere within the inbox to have it processed"
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happens to a file, and why. `rule`: the one that matches it, whether or not it is processed."""

    path: str
    is_processed: bool
    reason: str
    rule: Rule | None = None
    job_id: int | None = None
    skip_reason: SkipReason | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule that matches a file, or why none does."""

    rule: Rule | None
    reason: str


def choose(inbox: Inbox, path: str) -> Choice:
    """The first rule that matches. Only for paths for which `refusal` returns None."""
    rule = rules.match(inbox, path)
    if rule is not None:
        return Choice(rule, f"rule {rule.name}")
    some_take_any = any(rule.types == "any" for rule in inbox.rules)
    return Choice(None, NO_RULE if some_take_any or rules.is_media(path) else NO_MEDIA)


def refusal(inbox: Inbox, path: str) -> str | None:
    """Why a file with this path in the inbox is never processed, whatever the rules say; None if it may be."""
    if "/" in path:
        if not inbox.recursive:
            return "it is in a subfolder, and the inbox is not `recursive`"
        folder = path.rpartition("/")[0]
        if reason := _own_folder(inbox, folder):
            return reason
    if reason := excluded_names.refusal_of_path(path):
        return reason
    return _ignored(inbox, path)


def folder_refusal(inbox: Inbox, folder: str) -> str | None:
    """Why a folder is not entered; None if it is. Its parents are not checked: a scan enters them first."""
    if not inbox.recursive:
        return "the inbox is not `recursive`"
    if reason := excluded_names.refusal(folder.rpartition("/")[2]):
        return reason
    return _own_folder(inbox, folder) or _ignored(inbox, f"{folder}/")


def _ignored(inbox: Inbox, path: str) -> str | None:
    pattern = rules.ignored(inbox, path) if inbox.ignore else None
    return None if pattern is None else f"`ignore` excludes it ({pattern})"


def _own_folder(inbox: Inbox, folder: str) -> str | None:
    for own, what in own_folders(inbox):
        if folder == own or folder.startswith(f"{own}/"):
            return f"it is in {what}"
    return None


def own_folders(inbox: Inbox) -> Iterator[tuple[str, str]]:
    """Outbox, done and failed folder, and former ones, as far as they are in the inbox: lalald neither watches nor scans them."""
    root = f"{os.path.normpath(inbox.path)}/"
    own = [(inbox.outbox, "outbox"), (inbox.done_dir, "done"), (inbox.failed_dir, "failed")]
    places = [(folder, f"the inbox's {title} folder") for folder, title in own]
    for folder, what in [*places, *((folder, FORMER) for folder in inbox.former)]:
        normal = os.path.normpath(folder)
        if normal.startswith(root):
            yield normal[len(root) :], what


def with_former_folders(inbox: Inbox, folders: Iterable[str]) -> Inbox:
    """The inbox with the folders in it into which earlier configurations put files.

    Their files are results, or processed already: as new files they would be paid for again.
    """
    return replace(inbox, former=tuple(Path(folder) for folder in folders if Path(folder).is_relative_to(inbox.path)))


def explain(inbox: Inbox, path: str | Path, known: KnownFile | None = None) -> Explanation:
    """What happens to the file at `path` (absolute, or relative to the inbox). `known`: what the store knows of it."""
    relative = path_in_inbox(inbox, path)
    if relative is None:
        return Explanation(str(path), False, f"it is not in the inbox {printable(str(inbox.path))}")
    if reason := refusal(inbox, relative) or _symlinked(inbox, relative):
        return Explanation(relative, False, reason)
    try:
        facts = os.lstat(os.path.join(inbox.path, relative))
    except OSError as error:
        return Explanation(relative, False, _missing(error), choose(inbox, relative).rule)
    if reason := type_refusal(facts):
        return Explanation(relative, False, reason)
    choice = choose(inbox, relative)
    if known is not None and (known.size, known.mtime_ns) == (facts.st_size, int64(facts.st_mtime_ns)):
        return _explain_known(relative, known, choice)
    if control := partial_downloads.control_file(os.fspath(inbox.path), relative):
        return Explanation(
            relative, False, f"its download is not finished: {printable(control)} is still there (*.aria2)", choice.rule
        )
    if skips_changed(inbox, known):
        job_id = None if known is None else known.job_id
        return Explanation(relative, False, CHANGED_SKIP, choice.rule, job_id, SkipReason.CHANGED)
    if choice.rule is not None and not os.access(os.path.join(inbox.path, relative), os.R_OK):
        return Explanation(
            relative, False, f"uid {os.getuid()} may not read it: give that user permission to read it", choice.rule
        )
    return Explanation(relative, choice.rule is not None, choice.reason, choice.rule)


def _missing(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "the file does not exist"
    return f"it cannot be examined: {error.strerror}"


def _explain_known(path: str, known: KnownFile, choice: Choice) -> Explanation:
    if known.job_id is not None:
        return Explanation(
            path, True, f"it is job {known.job_id}; it is not processed again", choice.rule, known.job_id
        )
    return Explanation(path, False, known.note or NO_RULE, choice.rule, skip_reason=known.skip_reason)


def type_refusal(facts: os.stat_result) -> str | None:
    """Why a file of this type is not processed; None if it may be."""
    if stat.S_ISLNK(facts.st_mode):
        return "it is a symlink, and symlinks are not followed"
    if stat.S_ISDIR(facts.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(facts.st_mode):
        return "it is not a regular file"
    return EMPTY if facts.st_size == 0 else None


def _symlinked(inbox: Inbox, path: str) -> str | None:
    folder = os.fspath(inbox.path)
    for name in path.split("/")[:-1]:
        folder = os.path.join(folder, name)
        if os.path.islink(folder):
            return f"{printable(folder)} is a symlink, and symlinks are not followed"
    return None


def skips_changed(inbox: Inbox, known: KnownFile | None) -> bool:
    """Whether new content of a known file is skipped (`changed: skip`). The rules decide about a file that was never processed."""
    if known is None or inbox.changed != "skip":
        return False
    return known.job_id is not None or known.skip_reason is SkipReason.CHANGED


def path_in_inbox(inbox: Inbox, path: str | Path) -> str | None:
    """A path relative to the inbox; None if it is not in the inbox."""
    text = os.path.normpath(path)
    if not os.path.isabs(text):
        return None if text.startswith("..") else text
    for root in (os.path.normpath(inbox.path), os.path.realpath(inbox.path)):
        if text.startswith(f"{root}/"):
            return text[len(root) + 1 :]
    return None
