"""Look for a secret in one place after another. A file is read only where no place before it decides, and never for long."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from lalald.config.secrets.secret_text import secret_text
from lalald.errors import FolderUnavailableError, SettingError
from lalald.filesystem.bounded_calls import UNANSWERED, BoundedCalls
from lalald.filesystem.mounts import mount_point_as_written

if TYPE_CHECKING:
    from lalald.filesystem.mount_pools import MountPools

Found = TypeVar("Found")


class SecretFile(NamedTuple):
    """A file to be read, the setting that names it, and the name of its secret in sentences."""

    path: Path
    origin: str
    what: str


# It yields each file that it needs, gets its text, or why it cannot be used, and returns what was found. It may raise ConfigError.
Search = Generator[SecretFile, str | SettingError, Found]


def text_of(file: SecretFile) -> Search[str]:
    """Raises SettingError."""
    text = yield file
    if isinstance(text, SettingError):
        raise text
    return text.strip()


def found_by(search: Search[Found], calls: BoundedCalls) -> Found:
    """The result of a search in a program that ends soon."""
    try:
        file = next(search)
        while True:
            file = search.send(_read(file, calls))
    except StopIteration as ended:
        found: Found = ended.value
        return found


async def found_on(disks: MountPools, search: Search[Found], begin: Callable[[SecretFile], object] = id) -> Found:
    """The result of a search by the daemon. `begin` gets each file before it is read."""
    try:
        file = next(search)
        while True:
            begin(file)
            file = search.send(await _read_on(disks, file))
    except StopIteration as ended:
        found: Found = ended.value
        return found


def _read(file: SecretFile, calls: BoundedCalls) -> str | SettingError:
    try:
        return calls.run(file.path.parent, secret_text, *file)
    except FolderUnavailableError as error:
        return unanswered(file, error.hint)
    except SettingError as error:
        return error


async def _read_on(disks: MountPools, file: SecretFile) -> str | SettingError:
    try:
        return await disks.run(str(file.path.parent), secret_text, *file)
    except FolderUnavailableError as error:
        return unanswered(file, error.hint)
    except SettingError as error:
        return error


def unanswered(file: SecretFile, hint: str) -> SettingError:
    """Of its path the mount point is shown: whether the rest exists is not known, and it may be the secret."""
    place = mount_point_as_written(str(file.path)) or "/"
    return SettingError(file.origin, f"a file in {place} cannot be read: {UNANSWERED}", hint=hint or "Check the path.")
