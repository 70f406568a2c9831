"""Before the daemon starts in a container: its configuration, and volumes that outlive it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from lalald.config import Config
from lalald.container import defaults, volumes
from lalald.daemon.log import log_setup
from lalald.errors import ConfigError
from lalald.filesystem import disk_errors


def belongings(config_dir: Path, environ: Mapping[str, str]) -> list[Path]:
    """The folders that lalald itself writes: that of its configuration, and its state there. Never a folder of media."""
    state_dir = Path(environ["LALALD_STATE_DIR"])
    return [config_dir, state_dir] if state_dir.is_relative_to(config_dir) else [config_dir]


def choose_config(config_dir: Path, environ: MutableMapping[str, str]) -> None:
    """Unless the environment names a configuration: config.yaml, or the default where there is none."""
    if environ.get("LALALD_CONFIG"):
        return
    own = config_dir / "config.yaml"
    environ["LALALD_CONFIG"] = str(own if os.path.lexists(own) else _default(config_dir))


def prepare(explicit: str | None, config_dir: Path, environ: Mapping[str, str]) -> Callable[[Config], None]:
    """Writes the default configuration where it is used. Gives what looks at the configuration once it is read.

    Raises, and what is given does too:
        ConfigError: what is asked for is not there, or the state or results would die with the container.
    """
    trial = volumes.is_trial(environ)
    state_dir = Path(environ["LALALD_STATE_DIR"])
    if not trial:
        volumes.refuse_to_lose_state(state_dir)
    _refuse_closed_state(state_dir)
    uses_default = write_default_if_used(explicit, config_dir, environ)

    def accept(config: Config) -> None:
        if not trial:
            volumes.refuse_to_lose_results(config)
        _tell(config, environ, uses_default=uses_default)

    return accept


def write_default_if_used(explicit: str | None, config_dir: Path, environ: Mapping[str, str]) -> bool:
    """Whether the default configuration is the one that is used; it is written then, where it is not there yet.

    Raises:
        ConfigError: a variable asks for what the service does not have, or it cannot be written.
    """
    uses_default = not explicit and environ["LALALD_CONFIG"] == str(_default(config_dir))
    if uses_default:
        _write_default(config_dir, environ)
    return uses_default


def _default(config_dir: Path) -> Path:
    return config_dir / "default.yaml"


def _refuse_closed_state(state_dir: Path) -> None:
    """Raises ConfigError where the state of an earlier user cannot be used by this one; it says what would change that."""
    if found := volumes.why_unwritable_if_there(state_dir, volumes.REMEDY_OF_OURS):
        raise ConfigError(f"{found.folder} cannot be used: {found.reason}", hint=found.remedy)


def _write_default(config_dir: Path, environ: Mapping[str, str]) -> None:
    try:
        defaults.write(_default(config_dir), environ)
    except OSError as error:
        if found := volumes.why_unwritable(config_dir, volumes.REMEDY_OF_OURS):
            raise ConfigError(f"{found.folder} cannot be used: {found.reason}", hint=found.remedy) from error
        path = error.filename or config_dir
        raise ConfigError(f"{path} cannot be used: {error.strerror}", hint=disk_errors.hint_for(error)) from error


def _tell(config: Config, environ: Mapping[str, str], *, uses_default: bool) -> None:
    """What is set in vain, and what cannot be written, in the daemon's own log."""
    log: Any = log_setup.Lines(config.log, environ).log()
    unused = [name for name in defaults.VARIABLES if environ.get(name)]
    if unused and not uses_default:
        log.warning("container.variables_unused", variables=unused, reason=f"{config.path} decides")
    named = {"PUID": os.getuid(), "PGID": os.getgid()}
    vain = [name for name, actual in named.items() if environ.get(name, "").strip() not in ("", str(actual))]
    if vain:
        log.warning(
            "container.variables_unused", variables=vain,
            reason=f"the container engine started it as uid {os.getuid()}, gid {os.getgid()}",
        )  # fmt: skip
    for found in volumes.unwritable(config):
        log.error("volume.unwritable", folder=str(found.folder), reason=found.reason, hint=found.remedy)
