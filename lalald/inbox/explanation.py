"""Why a file is, or is not, taken. Intake decides by these very functions, so an explanation cannot differ from the deed."""

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
    """What happens to a file and why, in words. `rule` is the one that it belongs to, whether or not it is taken."""

    path: str
    taken: bool
    reason: str
    rule: Rule | None = None
    job_id: int | None = None
    skip_reason: SkipReason | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule that takes a file, or why none does."""

    rule: Rule | None
    reason: str


def choose(inbox: Inbox, path: str) -> Choice:
    """The first rule that matches. Only for paths that `refusal` has nothing against."""
    rule = rules.match(inbox, path)
    if rule is not None:
        return Choice(rule, f"rule {rule.name}")
    some_take_any = any(rule.types == "any" for rule in inbox.rules)
    return Choice(None, NO_RULE if some_take_any or rules.is_media(path) else NO_MEDIA)


def refusal(inbox: Inbox, path: str) -> str | None:
    """Why a file of this path within the inbox is never taken, whatever the rules say."""
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
    """Why a folder is not entered. Its parents are not looked at: whoever asks came through them."""
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
    """Outbox, done and failed folder, as far as they lie within the inbox, and former ones: never watched, never taken from."""
    root = f"{os.path.normpath(inbox.path)}/"
    own = [(inbox.outbox, "outbox"), (inbox.done_dir, "done"), (inbox.failed_dir, "failed")]
    places = [(folder, f"the inbox's {title} folder") for folder, title in own]
    for folder, what in [*places, *((folder, FORMER) for folder in inbox.former)]:
        normal = os.path.normpath(folder)
        if normal.startswith(root):
            yield normal[len(root) :], what


def with_former_folders(inbox: Inbox, put_into: Iterable[str]) -> Inbox:
    """The inbox with those folders within it that lalald was ever told to put files into.

    What lies there is carried already: taken for new files it would be paid for again, and results would be taken for sources.
    """
    return replace(inbox, former=tuple(Path(folder) for folder in put_into if Path(folder).is_relative_to(inbox.path)))


def explain(inbox: Inbox, path: str | Path, known: KnownFile | None = None) -> Explanation:
    """What happens to the file at `path` (within the inbox, or absolute). `known` is what the store knows of it."""
    relative = within(inbox, path)
    if relative is None:
        return Explanation(str(path), False, f"it is not in the inbox {printable(str(inbox.path))}")
    if reason := refusal(inbox, relative) or _symlinked(inbox, relative):
        return Explanation(relative, False, reason)
    try:
        facts = os.lstat(os.path.join(inbox.path, relative))
    except OSError as error:
        return Explanation(relative, False, _missing(error), choose(inbox, relative).rule)
    if reason := kind_refusal(facts):
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
            relative, False, f"uid {os.getuid()} may not read it: give that user the right to", choice.rule
        )
    return Explanation(relative, choice.rule is not None, choice.reason, choice.rule)


def _missing(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file"
    return f"it cannot be examined: {error.strerror}"


def _explain_known(path: str, known: KnownFile, choice: Choice) -> Explanation:
    if known.job_id is not None:
        return Explanation(
            path, True, f"it is job {known.job_id}; it is not processed again", choice.rule, known.job_id
        )
    return Explanation(path, False, known.note or NO_RULE, choice.rule, skip_reason=known.skip_reason)


def kind_refusal(facts: os.stat_result) -> str | None:
    """Why a thing of this kind is not taken."""
    if stat.S_ISLNK(facts.st_mode):
        return "it is a symlink, and its target could lie anywhere"
    if stat.S_ISDIR(facts.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(facts.st_mode):
        return "it is not a regular file"
    return "it is empty" if facts.st_size == 0 else None


def _symlinked(inbox: Inbox, path: str) -> str | None:
    folder = os.fspath(inbox.path)
    for name in path.split("/")[:-1]:
        folder = os.path.join(folder, name)
        if os.path.islink(folder):
            return f"{printable(folder)} is a symlink, and symlinks are not followed"
    return None


def skips_changed(inbox: Inbox, known: KnownFile | None) -> bool:
    """Whether new content of a known file is left alone (`changed: skip`). A file that was never taken has its rules to go by."""
    if known is None or inbox.changed != "skip":
        return False
    return known.job_id is not None or known.skip_reason is SkipReason.CHANGED


def within(inbox: Inbox, path: str | Path) -> str | None:
    """A path as intake sees it: relative to the inbox, or None where it lies elsewhere."""
    text = os.path.normpath(path)
    if not os.path.isabs(text):
        return None if text.startswith("..") else text
    for root in (os.path.normpath(inbox.path), os.path.realpath(inbox.path)):
        if text.startswith(f"{root}/"):
            return text[len(root) + 1 :]
    return None
