"""The files that are named to hold the license key. Their contents are not read here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_IROTH, S_ISREG

from lalald.config.paths import PathError, expanded
from lalald.errors import ConfigError

ANSWER_SECONDS = 1.0
BY_ENVIRONMENT = "LALALD_LICENSE_KEY_FILE"
BY_CONFIGURATION = "license_key_file"


def key_files(configured: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Each named file, with the setting that names it; the one that is read first comes first.

    Raises:
        ConfigError: the environment names something that cannot be a path.
    """
    named = environ.get(BY_ENVIRONMENT)
    if named:
        try:
            yield BY_ENVIRONMENT, expanded(named, environ, None)
        except PathError as error:
            raise ConfigError(f"{BY_ENVIRONMENT}: {error.unshown}", hint="Name the file in full.") from None
    if configured:
        yield BY_CONFIGURATION, configured


def readable_by_others(path: Path, answer_seconds: float = ANSWER_SECONDS) -> bool:
    """Whether every user of the machine can read a file. Not for systemd's credentials, which are protected otherwise.

    False if its file system does not answer in time: the daemon still starts, and reports what is wrong with the key.
    """
    modes: list[int] = []

    def read_mode() -> None:
        with suppress(OSError):
            modes.append(path.stat().st_mode)

    thread = threading.Thread(target=read_mode, daemon=True)
    thread.start()
    thread.join(answer_seconds)
    return any(S_ISREG(mode) and mode & S_IROTH for mode in modes)
