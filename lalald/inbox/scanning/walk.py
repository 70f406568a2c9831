"""Walk over the folders of an inbox, and compare them with what the store knows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from lalald.filesystem.file_numbers import int64
from lalald.filesystem.markers import MARKER_NAME
from lalald.inbox.readiness import UnreadableFile

FILES_AT_ONCE = 2000
MOST_AGREED = 20_000  # folders
UNKNOWN_SIZE = -1  # of a file that exists but cannot be examined
_KIND, _FILE, _FOLDER = 0o170000, stat.S_IFREG, stat.S_IFDIR  # plain numbers: they are used for each of 100,000 files
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK

Identity = tuple[str, int, int]
"""Name, size in bytes, mtime in nanoseconds."""


class Listing(NamedTuple):
    """All regular files of a folder, or of a part of it: those after the name `after` up to the name `upto`, in the store's order."""

    folder: str
    after: str | None
    upto: str | None
    files: list[Identity]


class KnowsFiles(Protocol):
    """The part of the store that a comparison needs."""

    def generation(self) -> object: ...
    def identities_in(
        self, inbox: str, folder: str, *, after: str | None = None, upto: str | None = None
    ) -> list[Identity]: ...


@dataclass(slots=True)
class Differences:
    """Where the folders and the store differ; paths are relative to the inbox."""

    unknown: list[str] = field(default_factory=list)  # new, or with other content than the store knows
    gone: list[str] = field(default_factory=list)


def join(folder: str, name: str) -> str:
    """A path relative to the inbox, whose own path is the empty string."""
    return f"{folder}/{name}" if folder else name


class Walk:
    """Lists the folders of an inbox, in constant memory but for the names of the largest folder.

    `entering` is called before a folder is listed, so that a watch set there misses nothing that arrives later. Folders for which
    `skipped` returns true, and symlinks, are not entered. Listings for which `agreed` returns true are left out.
    """

    def __init__(
        self,
        root: str,
        *,
        skipped: Callable[[str], bool],
        entering: Callable[[str], None] | None = None,
        agreed: Callable[[Listing], bool] | None = None,
        recursive: bool = True,
        start: str = "",
    ) -> None:
        self.files = 0
        self.unreadable: list[UnreadableFile] = []
        self.visited: set[str] = set()
        self.stopped = False
        self._root = root
        self._skipped = skipped
        self._entering = entering
        self._agreed = agreed
        self._recursive = recursive
        self._listings = self._walk(start)

    def take(self, files: int = FILES_AT_ONCE) -> list[Listing]:
        """The next listings, with about so many files, but for those that are known to agree with the store; none at the end."""
        batch: list[Listing] = []
        weight = 0
        while weight < files and (listing := next(self._listings, None)) is not None:
            self.files += len(listing.files)
            if self._agreed is not None and self._agreed(listing):
                continue
            batch.append(listing)
            weight += len(listing.files) + 20  # a folder costs as much as some files
        return batch

    def close(self) -> None:
        """End the walk, also if it runs in another thread."""
        self.stopped = True
        with suppress(ValueError):
            self._listings.close()

    def _walk(self, start: str) -> Generator[Listing, None, None]:
        waiting = [start]
        while waiting and not self.stopped:
            folder = waiting.pop()
            try:
                with self._opened(folder) as descriptor:
                    self.visited.add(folder)
                    yield from self._parts(folder, descriptor, waiting)
            except OSError as error:
                self.visited.discard(folder)
                self.unreadable.append(UnreadableFile(folder, error))

    @contextmanager
    def _opened(self, folder: str) -> Iterator[int]:
        if self._entering is not None:
            self._entering(folder)
        follow = 0 if folder == "" else os.O_NOFOLLOW
        descriptor = os.open(os.path.join(self._root, folder), _OPEN_FOLDER | follow)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _parts(self, folder: str, descriptor: int, waiting: list[str]) -> Iterator[Listing]:
        names = os.listdir(descriptor)
        if folder == "" and MARKER_NAME in names:
            names.remove(MARKER_NAME)
        names = _in_order(names)
        names.reverse()
        after: str | None = None
        upto: str | None = ""
        while upto is not None:
            part = names[: -FILES_AT_ONCE - 1 : -1]
            del names[-FILES_AT_ONCE:]  # frees their memory: there may be 100,000 names
            upto = part[-1] if names else None
            files, folders = _facts(descriptor, part)
            yield Listing(folder, after, upto, files)
            after = upto
            if self._recursive:
                inner = (join(folder, name) for name in folders)
                waiting.extend(path for path in inner if not self._skipped(path))


def _in_order(names: list[str]) -> list[str]:
    """Sort as SQLite does: text by its UTF-8 bytes, then the names that are not valid text."""
    if all(map(str.isascii, names)):
        names.sort()
    else:
        names.sort(key=_sort_key)
    return names


def _sort_key(name: str) -> tuple[bool, str | bytes]:
    try:
        name.encode()
    except UnicodeEncodeError:
        return True, os.fsencode(name)
    return False, name


def _facts(descriptor: int, names: list[str]) -> tuple[list[Identity], list[str]]:
    """The regular files and the folders among the names."""
    files: list[Identity] = []
    folders: list[str] = []
    for name in names:
        try:
            facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue  # deleted since it was listed
        except OSError:
            files.append((name, UNKNOWN_SIZE, 0))
            continue
        kind = facts.st_mode & _KIND
        if kind == _FILE:
            files.append((name, facts.st_size, int64(facts.st_mtime_ns)))
        elif kind == _FOLDER:
            folders.append(name)
    return files, folders


class Agreement:
    """Remembers which listings agreed with the store, so that they are not compared again while neither changes.

    Only a digest of each is kept. Any write to the store invalidates all of them.
    """

    def __init__(self) -> None:
        self.generation: object = None
        self._digests: dict[tuple[str, str | None], int] = {}

    def begin(self, generation: object) -> None:
        """Call this before each walk; `generation` is the store's."""
        if generation != self.generation:
            self.generation = generation
            self._digests.clear()

    def holds(self, listing: Listing) -> bool:
        """Whether the store is known to agree."""
        return self._digests.get((listing.folder, listing.after)) == _digest(listing)

    def add(self, listing: Listing, generation: object) -> None:
        """The store agrees in this generation."""
        if generation == self.generation and len(self._digests) < MOST_AGREED:
            self._digests[listing.folder, listing.after] = _digest(listing)


def _digest(listing: Listing) -> int:
    return hash((listing.upto, tuple(listing.files)))


def compare(store: KnowsFiles, inbox: str, listings: Sequence[Listing], agreement: Agreement) -> Differences:
    """What is in the listings and not in the store, and what is in the store and not in the listings."""
    differences = Differences()
    generation = store.generation()
    for listing in listings:
        known = store.identities_in(inbox, listing.folder, after=listing.after, upto=listing.upto)
        if known == listing.files:
            agreement.add(listing, generation)
        else:
            _add_differences(known, listing, differences)
    return differences


def _add_differences(known: list[Identity], listing: Listing, differences: Differences) -> None:
    before = {name: (size, mtime_ns) for name, size, mtime_ns in known}
    for name, size, mtime_ns in listing.files:
        old = before.pop(name, None)
        if size != UNKNOWN_SIZE and old != (size, mtime_ns):
            differences.unknown.append(join(listing.folder, name))
    differences.gone.extend(join(listing.folder, name) for name in before)
