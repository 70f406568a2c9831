"""Check that no folder lies within another where it must not, and that the state is on a suitable file system.

A result or a finished source in a watched folder would be processed and paid for again, in a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lalald.config.checks.real_paths import RealPaths
from lalald.config.diagnostics import Diagnostics, Where
from lalald.filesystem import mounts


class Folders(Protocol):
    """The folders of an inbox; None for one with an error."""

    @property
    def path(self) -> Path | None: ...
    @property
    def outbox(self) -> Path | None: ...
    @property
    def done_dir(self) -> Path | None: ...
    @property
    def failed_dir(self) -> Path | None: ...
    @property
    def recursive(self) -> bool: ...
    @property
    def on_success(self) -> str: ...
    @property
    def on_failure(self) -> str: ...


@dataclass(frozen=True, slots=True)
class KnownFolders:
    """The folders of an inbox, as far as they could be read."""

    path: Path | None
    outbox: Path | None
    done_dir: Path | None
    failed_dir: Path | None
    recursive: bool
    on_success: str
    on_failure: str


def lies_within(inner: Path, outer: Path, real: RealPaths) -> bool:
    """Whether `inner` is `outer` or within it, with symlinks resolved."""
    root = real.of(outer)
    return real.of(inner).is_relative_to(root)


def watches(inbox: Folders, folder: Path, real: RealPaths) -> bool:
    """Whether this inbox would process files in `folder`, with symlinks resolved."""
    path = inbox.path
    if path is None:
        return False
    root, found = real.of(path), real.of(folder)
    if found == root or not found.is_relative_to(root):
        return found == root
    places = (inbox.outbox, inbox.done_dir, inbox.failed_dir)
    own = [root / place.relative_to(path) for place in places if place and place.is_relative_to(path)]
    return inbox.recursive and not any(found.is_relative_to(place) for place in own)


def check(inboxes: Sequence[Folders], state_dir: Path | None, diagnostics: Diagnostics, real: RealPaths) -> None:
    """Report every folder in a place where it must not be."""
    known: list[tuple[Folders, Where]] = [(inbox, ("inboxes", place)) for place, inbox in enumerate(inboxes)]
    for place, (inbox, where) in enumerate(known):
        if inbox.path is not None:
            _check_own(inbox, inbox.path, where, diagnostics, real)
        for other_place, (other, other_where) in enumerate(known):
            if other is not inbox:
                said = _said(other_where, other)
                _check_pair(inbox, where, other, said, diagnostics, real, first=place < other_place)
    if state_dir is not None:
        check_state(state_dir, mounts.filesystem_type(state_dir), [inbox for inbox, _ in known], diagnostics, real)


def _said(where: Where, inbox: Folders) -> str:
    return f"inboxes[{where[1]}] ({inbox.path})"


def _check_own(inbox: Folders, path: Path, where: Where, diagnostics: Diagnostics, real: RealPaths) -> None:
    for key in ("outbox", "done_dir", "failed_dir"):
        place: Path | None = getattr(inbox, key)
        if place is None:
            continue
        if real.of(path) == real.of(place):
            diagnostics.add_error((*where, key), "is the inbox itself; name another folder")
        elif lies_within(path, place, real):
            words = f"holds the inbox too: what is called {path.name} would land in it; a folder beside it is better"
            diagnostics.add_warning((*where, key), words)
        elif watches(inbox, place, real):
            words = "leads into its own inbox by another way; write it as a path within the inbox"
            diagnostics.add_error((*where, key), words)
    if inbox.done_dir and inbox.done_dir == inbox.failed_dir and "move" in (inbox.on_success, inbox.on_failure):
        diagnostics.add_warning(
            (*where, "failed_dir"), "is the same as done_dir: finished and failed files will lie side by side"
        )


def _check_pair(
    inbox: Folders, where: Where, other: Folders, said: str, diagnostics: Diagnostics, real: RealPaths, *, first: bool
) -> None:
    """Check `inbox` against the tree that `other` watches. Two identical inboxes are reported once."""
    path = inbox.path
    if path and other.path and real.of(path) == real.of(other.path):
        if not first:
            diagnostics.add_error(
                (*where, "path"), f"is the same folder as {said}; put the rules of both into one inbox"
            )
        return
    lies_there = path is not None and watches(other, path, real)
    if lies_there:
        diagnostics.add_error(
            (*where, "path"), f"is within {said}, which is also watched; move one of them out of the other"
        )
    for key, what in (("outbox", "results"), ("done_dir", "finished files"), ("failed_dir", "failed files")):
        folder: Path | None = getattr(inbox, key)
        if folder and watches(other, folder, real) and not lies_there:
            diagnostics.add_error(
                (*where, key), f"is within {said}, so that {what} would be processed and paid for again"
            )


def check_state(
    state_dir: Path, kind: str, inboxes: Sequence[Folders], diagnostics: Diagnostics, real: RealPaths
) -> None:
    """Report a state folder within an inbox, or on an unsuitable file system of this `kind`."""
    where: Where = ("state_dir",)
    for inbox in inboxes:
        if watches(inbox, state_dir, real):
            diagnostics.add_error(where, f"is within the inbox {inbox.path}; the state needs a separate folder")
    if mounts.is_network(kind):
        words = f"{state_dir} is on {kind}, where a database is not safe; choose a folder on a local disk"
        diagnostics.add_error(where, words)
    elif mounts.may_be_remote(kind):
        diagnostics.add_warning(
            where, f"{state_dir} is on {kind}, where a database may not be safe; a local disk is better"
        )
