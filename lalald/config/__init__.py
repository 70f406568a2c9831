"""The configuration: one YAML file → a frozen `Config`, every mistake at once, each with its line.

Importing this is cheap: the classes are loaded when one of them is asked for, what reads the file when it is asked to.
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
    """The configuration in a file, overridden by what the environment says.

    Raises:
        ConfigError: the file cannot be read, or has mistakes; lists every one.
    """
    from lalald.config.loading import load as loaded

    return loaded(path, environ)


def check_folders(config: Config) -> list[str]:
    """Mistakes of folders: missing, unreadable, or not writable where the configuration needs it. Not asked by `load`: mounts are
    late at boot, and the daemon waits for them."""
    from lalald.config.checks.folders import check_folders as checked

    return checked(config)
