"""Read a configuration file and turn it into a `Config`; report all errors together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lalald.config.checks.misnamed import unknown_variables, unread_files
from lalald.config.diagnostics import Diagnostics, path_text
from lalald.config.key_files import BY_ENVIRONMENT, key_files, readable_by_others
from lalald.config.model import Config
from lalald.config.paths import SYSTEM_CONFIG, absolute, home_config_folder
from lalald.config.reading import Reading
from lalald.config.resolving import Resolved, resolve
from lalald.config.schema.validation import validate
from lalald.config.yaml.reader import Plain, read
from lalald.config.yaml.source_text import read_text
from lalald.errors import ConfigError
from lalald.suggestions import quoted

OVERRIDES: Mapping[str, tuple[str, ...]] = {
    "LALALD_API_URL": ("api_url",),
    "LALALD_STATE_DIR": ("state_dir",),
    "LALALD_LOG_LEVEL": ("log", "level"),
    "LALALD_LOG_FORMAT": ("log", "format"),
    "LALALD_WEB_LISTEN": ("web", "listen"),
}


@dataclass(frozen=True, slots=True)
class Examined:
    """A file with its errors and warnings. `resolved` is None if it has no keys at all."""

    path: Path
    diagnostics: Diagnostics
    resolved: Resolved | None

    def config(self) -> Config:
        """The configuration. Raises ConfigError, which lists every error."""
        config = self.resolved.config if self.resolved else None
        if config is None or self.diagnostics.errors:
            raise self.diagnostics.error(str(self.path))
        lines = self.diagnostics.lines.items()
        numbers = {path_text(where): line for where, line in lines if where not in self.diagnostics.sources}
        return replace(config, warnings=self.diagnostics.formatted_warnings(), lines=numbers)


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """See `lalald.config.load`."""
    return examine(path, environ).config()


def examine(path: Path, environ: Mapping[str, str]) -> Examined:
    """The contents of a file with every error and warning. Raises ConfigError if it cannot be read."""
    path = absolute(path)
    written = read(read_text(path))
    diagnostics = Diagnostics(
        written.lines, errors=list(dict.fromkeys(written.errors)), warnings=list(dict.fromkeys(written.warnings))
    )
    _warn_about_names(path, environ, diagnostics)
    data = _mapping(written.data, diagnostics)
    if data is None:
        return Examined(path, diagnostics, None)
    _override(data, environ, diagnostics)
    found = resolve(validate(data, diagnostics), Reading(path, environ, diagnostics))
    _check_key_files(found.license_key_file, environ, diagnostics)
    return Examined(path, diagnostics, found)


def _mapping(data: Any, diagnostics: Diagnostics) -> dict[str, Any] | None:
    """The keys at the top of the file; None, and an error, if there are none."""
    if isinstance(data, dict):
        return data
    if data is None and not diagnostics.errors:
        diagnostics.add_error((), "the file is empty; `lalald init` writes one to start from")
    elif data is not None:
        diagnostics.add_error((), f"expected keys such as inboxes:, got {quoted(data)}")
    return None


def _warn_about_names(path: Path, environ: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Warn about variables and files that have no effect because of their names."""
    for name, words in unknown_variables(environ):
        diagnostics.sources[name,] = name
        diagnostics.add_warning((name,), words)
    for file in unread_files(path, Path(SYSTEM_CONFIG), home_config_folder(environ)):
        diagnostics.sources[str(file),] = str(file)
        diagnostics.add_warning((str(file),), f"is not read, {path} is; the name of a configuration is config.yaml")


def _override(data: dict[str, Any], environ: Mapping[str, str], diagnostics: Diagnostics) -> None:
    for variable, where in OVERRIDES.items():
        value = environ.get(variable)
        section = _section(data, where) if value else None
        if value and section is not None:  # a section that is not a mapping is an error of its own
            section[where[-1]] = Plain(value)
            diagnostics.sources[where] = variable


def _section(data: dict[str, Any], where: tuple[str, ...]) -> dict[str, Any] | None:
    for step in where[:-1]:
        if data.get(step) is None:
            data[step] = {}
        if not isinstance(data[step], dict):
            return None
        data = data[step]
    return data


def _check_key_files(configured: Path | None, environ: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Warn about license keys that every user of this machine can read."""
    if environ.get(BY_ENVIRONMENT):
        diagnostics.sources[BY_ENVIRONMENT,] = BY_ENVIRONMENT
    try:
        files = list(key_files(configured, environ))
    except ConfigError as error:
        diagnostics.add_error((BY_ENVIRONMENT,), f"{error}. {error.hint}".removeprefix(f"{BY_ENVIRONMENT}: "))
        return
    for origin, file in files:
        if readable_by_others(file):
            where = (origin,)
            diagnostics.add_warning(where, f"every user of this machine can read {file}; chmod 600 keeps it to one")
