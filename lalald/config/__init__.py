"""The configuration: one YAML file becomes a frozen `Config`; all errors are reported together, each with its line.

`paths` finds the file, `yaml` parses it, `schema` validates its shape, `resolving` and `checks` turn it into the classes of `model`.
Importing this package is cheap: the classes, and the code that reads a file, are loaded when they are first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lalald.config.paths import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lalald.config.model import Config, Inbox, Log, Minutes, Rule, TaskSpec, Transfers, Web

__all__ = ["Config", "Inbox", "Log", "Minutes", "Rule", "TaskSpec", "Transfers", "Web", "check_folders", "find", "load"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lalald.config import model

    return getattr(model, name)


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in a file, with the overrides of the environment.

    Raises:
        ConfigError: the file cannot be read, or has errors; lists every one.
        FolderUnavailableError: its disk or server does not answer.
    """
    from lalald.config.loading import load as load_file

    return load_file(path, environ)


def check_folders(config: Config) -> list[str]:
    """Errors of folders: missing, unreadable, or not writable though the configuration needs it.

    `load` does not check this: at boot, mounts may come late, and the daemon waits for them.
    """
    from lalald.config.checks.folders import check_folders as check

    return check(config)
