"""Find files and variables that were probably meant for lalald, but have names that it does not read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lalald.suggestions import meant

_PREFIX = "LALALD_"
VARIABLES = (
    "LALALD_CONFIG", "LALALD_API_URL", "LALALD_STATE_DIR", "LALALD_LOG_LEVEL", "LALALD_LOG_FORMAT", "LALALD_LICENSE_KEY",
    "LALALD_LICENSE_KEY_FILE", "LALALD_EPHEMERAL",
    "LALALD_MODE", "LALALD_STEM", "LALALD_STEMS", "LALALD_VOICE", "LALALD_FORMAT", "LALALD_TRACKS",
    "LALALD_MINUTES_PER_FILE", "LALALD_MINUTES_PER_DAY", "LALALD_MINUTES_RESERVE",
    "LALALD_EXISTING", "LALALD_SETTLE", "LALALD_ON_SUCCESS", "LALALD_RECIPE", "LALALD_WEB_AUTH", "LALALD_WEB_HOSTS",
    "LALALD_WEB_LISTEN", "LALALD_WEB_PASSWORD", "LALALD_WEB_PASSWORD_FILE",
)  # fmt: skip
"""Every variable of lalald's own."""

# What Kubernetes and Docker set for a service or container that is called lalald.
_NEIGHBORS = re.compile(r"LALALD_(SERVICE_\w+|PORT(_\w+)?|ENV_\w+|NAME)")
_SAME_NAME = ("config.yml", "config.yaml.txt", "config.yml.txt", "config.json", "Config.yaml", "Config.yml")
_OTHER_NAMES = ("lalald.yaml", "lalald.yml", "lalald.yaml.txt", "default.yml")


def unknown_variables(environ: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each variable that begins like lalald's own but is unknown, with a message. Values are never read."""
    for name in sorted(environ):
        if name.upper().startswith(_PREFIX) and name not in VARIABLES and not _NEIGHBORS.fullmatch(name):
            words = meant(name[len(_PREFIX) :], [known.removeprefix(_PREFIX) for known in VARIABLES])
            known = f'. Did you mean "{_PREFIX}{words[0]}"?' if words else f" (known: {', '.join(VARIABLES)})"
            yield name, f"is not a variable of lalald and has no effect{known}"


def unread_files(path: Path, system_config: Path, home_folder: Path | None) -> Iterator[Path]:
    """Files that were probably meant to be the configuration, though the one at `path` is read."""
    if path == system_config and home_folder is not None:
        yield from files_like_a_configuration([home_folder])
    if path.name == "default.yaml":
        yield from files_like_a_configuration([path.parent])
    elif path.name == "config.yaml":
        yield from _present(path.parent, _SAME_NAME)


def files_like_a_configuration(folders: Iterable[Path]) -> Iterator[Path]:
    """Files there whose names are nearly config.yaml; a folder's own name with an ending, such as /etc/lalald.yaml, too."""
    for folder in folders:
        yield from _present(folder, (*_SAME_NAME, *_OTHER_NAMES))
        if folder.name == "lalald":
            yield from _present(folder.parent, ("lalald.yaml", "lalald.yml"))


def _present(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        if os.path.isfile(folder / name):
            yield folder / name


def similar_file(path: Path) -> Path | None:
    """The file beside a missing one whose name is most like it."""
    from difflib import get_close_matches

    try:
        names = [entry.name for entry in os.scandir(path.parent) if entry.is_file()]
    except OSError:
        return None
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return path.with_name(close[0]) if close else None
