"""Files that somebody named to hold the licence key. What is in them is none of the configuration's business."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_IROTH

from lalald.config.paths import expanded
from lalald.errors import ConfigError

BY_ENVIRONMENT = "LALALD_LICENSE_KEY_FILE"
BY_CONFIGURATION = "license_key_file"


def key_files(configured: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Where a file is named, and which; the one that is asked first comes first.

    Raises:
        ConfigError: what the environment names can be no path.
    """
    named = environ.get(BY_ENVIRONMENT)
    if named:
        try:
            yield BY_ENVIRONMENT, expanded(named, environ, None)
        except ValueError as error:
            raise ConfigError(f"{BY_ENVIRONMENT}: {error}", hint="name the file in full") from None
    if configured:
        yield BY_CONFIGURATION, configured


def readable_by_others(path: Path) -> bool:
    """Whether every user of the machine can read a file. Not to be asked of systemd's credentials, which are guarded otherwise."""
    try:
        return bool(path.stat().st_mode & S_IROTH)
    except OSError:
        return False
