"""Read the configuration in a child process.

The daemon then does not keep pydantic and a YAML parser in memory for months, only to use them at a reload.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lalald.config.model import Config
from lalald.errors import ConfigError, FileError, LalaldError

# With our module path: the working folder is not part of it.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from lalald.config.subprocess_loader import answer; answer(sys.argv[1])"
)
_END_SECONDS = 1.0


def begin(path: Path, environ: Mapping[str, str], *, quiet: bool = False) -> Callable[[], Config]:
    """Start reading. Return a function that waits for the result; call it once.

    `quiet`: the process inherits no open stream. A folder that never answers can keep it alive, and with it any reader of our
    standard error.

    Raises, like the returned function:
        ConfigError: the file cannot be read, or has errors; lists every one.
        FolderUnavailableError: its disk or server does not answer.
    """
    command = [sys.executable, "-P", "-c", _PROGRAM, os.fspath(path), *map(os.fspath, sys.path)]
    try:
        reading = subprocess.Popen(  # noqa: S603 - nothing of it comes from elsewhere
            command,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            # What this process was given to read from, `--config <(…)`, is its to read. And a file of ours on a dead share, once
            # closed there, would keep this whole process waiting.
            close_fds=False,
            process_group=0,  # a ctrl-C is the daemon's to answer
        )
    except OSError as error:
        reason = f"{sys.executable} cannot be started for it: {error.strerror}"
        raise ConfigError(f"{path} was not read: {reason}") from None

    def end() -> Config:
        said = _said(reading, path)
        if isinstance(said, LalaldError):
            raise said
        assert isinstance(said, Config)  # noqa: S101 - narrows the type
        return said

    return end


def load(path: Path, environ: Mapping[str, str], *, quiet: bool = False) -> Config:
    """As `lalald.config.load`, in a child process."""
    return begin(path, environ, quiet=quiet)()


def _said(reading: subprocess.Popen[bytes], path: Path) -> Any:
    """Waits for the answer, and for the end only a moment: a look at a folder that never answers would keep the process."""
    with reading.stdout as answering:  # type: ignore[union-attr] # it is a pipe
        try:
            return pickle.load(answering)  # noqa: S301 - of a process that is ours
        except (EOFError, pickle.UnpicklingError):
            ended = reading.wait()
            raise ConfigError(f"{path} was not read: the process that reads it ended with {ended}") from None
        finally:
            with suppress(subprocess.TimeoutExpired):
                reading.wait(_END_SECONDS)


def answer(path: str) -> None:
    """In the reading process: write the configuration, or its error, to standard output."""
    from lalald.config.loading import load as loaded

    try:
        said: Config | LalaldError = loaded(Path(path), os.environ)
    except (ConfigError, FileError) as error:
        said = error
    with suppress(BrokenPipeError):  # the parent has ended, for example by ctrl-C
        pickle.dump(said, sys.stdout.buffer)
        sys.stdout.flush()
    os._exit(0)  # without waiting for threads that examine a folder that does not answer
