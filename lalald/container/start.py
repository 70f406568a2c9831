"""Prepare the start of the daemon in a container: choose its configuration, check its volumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from lalald.config import Config
from lalald.container import defaults, volumes
from lalald.daemon.log import log_setup
from lalald.errors import ConfigError
from lalald.filesystem import disk_errors, mounts
from lalald.store.database import FILE_NAME

MEDIA_FOLDERS = (Path("/inbox"), Path("/outbox"))


def owned_folders(config_dir: Path, environ: Mapping[str, str]) -> list[Path]:
    """The folders that belong to lalald: its configuration, and its state if that is in it. Never a folder of media."""
    state_dir = Path(environ["LALALD_STATE_DIR"])
    return [config_dir, state_dir] if state_dir.is_relative_to(config_dir) else [config_dir]


def made_by_the_engine(
    state_dir: Path, folders: Iterable[Path] = MEDIA_FOLDERS, mountinfo: Path = mounts.MOUNTINFO
) -> list[Path]:
    """Of the folders of a first start, those that are empty and only root's: Docker makes a mount's folder so if there is none.

    None later, since the empty folder at which a share is not mounted yet looks the same; none on a share, which may not answer.
    """
    try:
        (state_dir / FILE_NAME).lstat()
        return []
    except FileNotFoundError:
        pass
    except OSError:  # of another user
        return []
    return [folder for folder in folders if _is_new(folder, mountinfo)]


def _is_new(folder: Path, mountinfo: Path) -> bool:
    if mounts.mount_of(folder, mountinfo).kind in mounts.NETWORK:
        return False
    try:
        facts = folder.stat()
        return (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777) == (0, 0, 0o755) and not os.listdir(folder)
    except OSError:
        return False


def choose_config(config_dir: Path, environ: MutableMapping[str, str]) -> None:
    """Set LALALD_CONFIG, unless it is set: to config.yaml, or to the default configuration if there is none."""
    if environ.get("LALALD_CONFIG"):
        return
    own = config_dir / "config.yaml"
    environ["LALALD_CONFIG"] = str(own if os.path.lexists(own) else _default(config_dir))


def prepare(explicit: str | None, config_dir: Path, environ: Mapping[str, str]) -> Callable[[Config], None]:
    """Write the default configuration if it is used. Return the check of the configuration that is read then.

    Both raise ConfigError if a setting is wrong, or if state or results would be deleted with the container.
    """
    trial = volumes.is_trial(environ)
    state_dir = Path(environ["LALALD_STATE_DIR"])
    if not trial:
        volumes.refuse_to_lose_state(state_dir)
    _refuse_unusable_state(state_dir)
    uses_default = write_default_if_used(explicit, config_dir, environ)

    def accept(config: Config) -> None:
        if not trial:
            volumes.refuse_to_lose_results(config)
        _log_problems(config, environ, uses_default=uses_default)

    return accept


def write_default_if_used(explicit: str | None, config_dir: Path, environ: Mapping[str, str]) -> bool:
    """Write the default configuration if it is the one that is used. Return whether it is.

    Raises ConfigError if a variable has an unknown value, or the file cannot be written.
    """
    uses_default = not explicit and environ["LALALD_CONFIG"] == str(_default(config_dir))
    if uses_default:
        _write_default(config_dir, environ)
    return uses_default


def _default(config_dir: Path) -> Path:
    return config_dir / "default.yaml"


def _refuse_unusable_state(state_dir: Path) -> None:
    """Raise ConfigError if this user cannot use the state that another user has written."""
    if found := volumes.why_unwritable_if_there(state_dir, volumes.OWN_REMEDY):
        raise ConfigError(f"{found.folder} cannot be used: {found.reason}", hint=found.remedy)


def _write_default(config_dir: Path, environ: Mapping[str, str]) -> None:
    try:
        defaults.write(_default(config_dir), environ)
    except OSError as error:
        if found := volumes.why_unwritable(config_dir, volumes.OWN_REMEDY):
            raise ConfigError(f"{found.folder} cannot be used: {found.reason}", hint=found.remedy) from error
        path = error.filename or config_dir
        raise ConfigError(f"{path} cannot be used: {error.strerror}", hint=disk_errors.hint_for(error)) from error


def _log_problems(config: Config, environ: Mapping[str, str], *, uses_default: bool) -> None:
    """Log variables without effect, and folders that cannot be written."""
    log: Any = log_setup.LogSettings(config.log, environ, auto_for_people=True).log()
    unused = [name for name in defaults.VARIABLES if environ.get(name)]
    if unused and not uses_default:
        log.warning("container.variables_unused", variables=unused, reason=f"{config.path} is used instead")
    named = {"PUID": os.getuid(), "PGID": os.getgid()}
    ignored = [name for name, actual in named.items() if environ.get(name, "").strip() not in ("", str(actual))]
    if ignored:
        log.warning(
            "container.variables_unused", variables=ignored,
            reason=f"the container engine started it as uid {os.getuid()}, gid {os.getgid()}",
        )  # fmt: skip
    if uses_default and config.web.listen is None:
        log.info("page.off", hint="LALALD_WEB_PASSWORD, of 10 characters or more, puts the page on port 8910.")
    for found in volumes.unwritable(config):
        log.error("volume.unwritable", folder=str(found.folder), reason=found.reason, hint=found.remedy)
