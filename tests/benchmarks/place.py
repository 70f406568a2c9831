"""Where a benchmark happens: a folder that goes away, a daemon in it, and files to drop."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.running import Home, until, write_wav

QUICK = 600  # checks a minute, where their pace is not what is measured


@contextmanager
def folder() -> Iterator[Path]:
    """On the disk of the temporary folder (`TMPDIR` chooses another)."""
    with tempfile.TemporaryDirectory(prefix="lalald-benchmark-") as path:
        yield Path(path)


@contextmanager
def daemon(root: Path, api_url: str, *, start: bool = True, **settings: Any) -> Iterator[Home]:
    """A home with its daemon, which is stopped at the end."""
    home = Home(root, api_url, **settings)
    if start:
        home.start()
    try:
        yield home
    finally:
        if home.process is not None:
            home.kill()


def pid_of(home: Home) -> int:
    assert home.process is not None
    return home.process.pid


def prepared(root: Path, count: int, seconds: float = 0.1) -> list[Path]:
    """Different small sounds beside the inbox, on its disk, to be moved in."""
    first = root / "prepared" / "0.wav"
    content = bytearray(write_wav(first, seconds))
    paths = [first]
    for number in range(1, count):
        content[-4:] = number.to_bytes(4, "little")
        paths.append(first.with_name(f"{number}.wav"))
        paths[-1].write_bytes(content)
    return paths


def drop(paths: list[Path], home: Home) -> None:
    """All of them at once, as a program that is careful does it."""
    for path in paths:
        path.rename(home.inbox / path.name)


class Tail:
    """Counts the events of a growing log without reading it again."""

    def __init__(self, home: Home, event: str) -> None:
        self._path = home.log
        self._event = event.encode()
        self._offset = 0
        self._count = 0

    def count(self) -> int:
        with self._path.open("rb") as log:
            log.seek(self._offset)
            lines = log.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._count += whole.count(self._event)
        return self._count

    def until(self, count: int, seconds: float) -> None:
        until(lambda: self.count() >= count, f"{self._event.decode()} {count} times", seconds)
