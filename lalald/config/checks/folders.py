"""Check that this process can use the folders of a configuration now."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lalald.config.checks.path_overlap import Folders
from lalald.config.diagnostics import Where, path_text
from lalald.config.model import Config
from lalald.errors import FolderUnavailableError
from lalald.filesystem.bounded_calls import BoundedCalls
from lalald.filesystem.files import mode_of


def check_folders(config: Config) -> list[str]:
    """Errors of folders, each with its line; see `lalald.config.check_folders`."""
    return [
        _formatted(config, path_text(where), words) for where, words in folder_errors(config.inboxes, config.state_dir)
    ]


def _formatted(config: Config, where: str, words: str) -> str:
    holder = where.rpartition(".")[0]
    line = config.lines.get(where) or (config.lines.get(holder) if holder else None)
    return f"line {line}  {where}: {words}" if line else f"{where}: {words}"


def folder_errors(
    inboxes: Sequence[Folders], state_dir: Path | None, calls: BoundedCalls | None = None
) -> Iterator[tuple[Where, str]]:
    """Each key whose folder cannot be used, and why. Folders that are None have been reported already."""
    look = partial(_look, calls or BoundedCalls())
    for place, inbox in enumerate(inboxes):
        yield from ((("inboxes", place, key), words) for key, words in _inbox_errors(inbox, look))
    if state_dir is not None and (words := look(_will_be_writable, state_dir)):
        yield ("state_dir",), words


def _look(calls: BoundedCalls, question: Callable[..., str | None], folder: Path, **arguments: bool) -> str | None:
    """What the question answers; a folder that does not answer cannot be used."""
    try:
        return calls.run(folder, partial(question, folder, **arguments))
    except FolderUnavailableError as error:
        return str(error)


def _inbox_errors(inbox: Folders, look: Callable[..., str | None]) -> Iterator[tuple[str, str]]:
    words = look(_usable, inbox.path, writable=_is_written(inbox)) if inbox.path else None
    if words:
        yield "path", words
    needed = {"outbox": True, "done_dir": inbox.on_success == "move", "failed_dir": inbox.on_failure == "move"}
    for key in (key for key, is_needed in needed.items() if is_needed):
        folder: Path | None = getattr(inbox, key)
        if folder is None:
            continue
        within = inbox.path is not None and folder.is_relative_to(inbox.path)
        if within and words:
            continue  # the error of the inbox covers it
        error = look(_will_be_writable, folder) if within else look(_usable, folder, writable=True)
        if error:
            yield key, error


def _is_written(inbox: Folders) -> bool:
    """Whether files will be moved or deleted in the inbox itself."""
    return inbox.on_success != "keep" or inbox.on_failure == "move"


def _usable(folder: Path, *, writable: bool) -> str | None:
    """Why a folder cannot be used, with what to do; None if it can."""
    try:
        mode = mode_of(folder)
    except OSError as error:
        return f"{folder} cannot be examined: {error.strerror}; {_who()}"
    if mode is None:
        return f"there is no folder {folder}; create it, or mount what should be there"
    if not stat.S_ISDIR(mode):
        return f"{folder} is a file, not a folder"
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        return f"{folder} cannot be read; {_who()}"
    if writable and not os.access(folder, os.W_OK, effective_ids=True):
        return f"{folder} cannot be written; {_who()}"
    return None


def _will_be_writable(folder: Path) -> str | None:
    """Like `_usable`, for a folder that lalald creates: the nearest existing parent must be writable."""
    existing = _nearest(folder)
    words = _usable(existing, writable=True)
    return words if words is None or existing == folder else f"{folder} cannot be made: {words}"


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest parent that exists or cannot be examined."""
    for place in (folder, *folder.parents):
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass
        return place
    return folder


def _who() -> str:
    return f"lalald runs as user {os.geteuid()}, group {os.getegid()}, which needs the right to do so"
