"""Read the files that a configuration names without waiting for a disk or server that does not answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lalald.config.license_key import FoundKey, files_to_read, find_key
from lalald.errors import ConfigError, FolderUnavailableError, SettingError
from lalald.filesystem.bounded_calls import BoundedCalls

Answer = TypeVar("Answer")


def read_in_time(
    files: Iterable[tuple[str, Path]], calls: BoundedCalls, function: Callable[..., Answer], *arguments: object
) -> Answer:
    """`function(*arguments)`, which reads the files; each has the setting that names it. Raises SettingError if one does not answer."""
    named = list(files)
    for one in named:
        _in_time(one, calls, _examine, one[1])
    return _in_time(named[-1], calls, function, *arguments) if named else function(*arguments)


def _in_time(
    named: tuple[str, Path], calls: BoundedCalls, function: Callable[..., Answer], *arguments: object
) -> Answer:
    origin, path = named
    try:
        return calls.run(path.parent, function, *arguments)
    except FolderUnavailableError as error:
        raise SettingError(origin, str(error), hint=error.hint or "Check the path.") from None


def find_key_in_time(key_file: Path | None, environ: Mapping[str, str], calls: BoundedCalls) -> FoundKey:
    """As `find_key`; a file that does not answer is a source that cannot be used."""
    try:
        files = files_to_read(key_file, environ)
    except ConfigError:  # `find_key` reports it
        files = []
    try:
        return read_in_time(files, calls, find_key, key_file, environ)
    except ConfigError as error:
        return FoundKey(None, str(error).partition(":")[0], problem=str(error), hint=error.hint, error=error)


def _examine(path: Path) -> None:
    """It is not opened: a pipe can be read once."""
    with suppress(OSError):
        os.stat(path)
