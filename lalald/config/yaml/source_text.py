"""Read the text of a configuration file; errors for a folder, an unreadable or too large file, other encodings, an endless pipe."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from lalald.errors import ConfigError
from lalald.filesystem.bounded_calls import WAKING_SECONDS, BoundedCalls

LARGEST_FILE_BYTES = 1024 * 1024
PIPE_SECONDS = 30.0
_CHUNK_BYTES = 65536


def read_text(path: Path, pipe_seconds: float = PIPE_SECONDS, answer_seconds: float = WAKING_SECONDS) -> str:
    """The text at `path`. A pipe, as in `--config <(…)`, is read to its end, for at most `pipe_seconds`.

    Raises:
        ConfigError: it cannot be read, or is not text.
        FolderUnavailableError: its disk or server has not answered for `answer_seconds`.
    """
    content = _content(path, pipe_seconds, BoundedCalls(answer_seconds))
    if len(content) > LARGEST_FILE_BYTES:
        raise ConfigError(f"{path} is too large to be a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        words = f"line {line}  not UTF-8: the byte 0x{content[error.start]:02X}; save the file as UTF-8"
        raise ConfigError(f"{path}: 1 error\n  {words}") from None


def _content(path: Path, pipe_seconds: float, calls: BoundedCalls) -> bytes:
    try:
        if stat.S_ISFIFO(calls.run(path, os.stat, path).st_mode):
            return _opened(path, pipe_seconds)
        return calls.run(path, _opened, path, pipe_seconds)
    except IsADirectoryError:
        within = path / "config.yaml"
        meant = f'. Did you mean "{within}"?' if os.path.isfile(within) else ""
        raise ConfigError(f"{path} is a folder, not a file{meant}") from None
    except PermissionError as error:
        words = f"{path} cannot be read by uid {os.geteuid()}: {error.strerror}"
        raise ConfigError(words, hint="Let that user read it, or run this as another one.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _opened(path: Path, pipe_seconds: float) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb", buffering=0):
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError
        if stat.S_ISFIFO(kind):
            return b"".join(_piped(path, descriptor, pipe_seconds))
        return b"".join(_chunks(descriptor))


def _chunks(descriptor: int) -> Iterator[bytes]:
    """The content of a file, up to one byte more than allowed."""
    left = LARGEST_FILE_BYTES + 1
    while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk


def _piped(path: Path, descriptor: int, seconds: float) -> Iterator[bytes]:
    """The content of a pipe, until its last writer closes it."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    deadline, left = time.monotonic() + seconds, LARGEST_FILE_BYTES + 1
    while left > 0:
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise ConfigError(f"{path} is a pipe, and was not written to its end within {seconds:g} s")
        chunk = os.read(descriptor, min(left, _CHUNK_BYTES))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk
