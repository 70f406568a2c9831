"""A file → `Config`: read, shape, resolve; whatever is wrong with it is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lalald.config.checks.misnamed import unknown_variables, unread_files
from lalald.config.diagnostics import Findings, spelled
from lalald.config.key_files import BY_ENVIRONMENT, key_files, readable_by_others
from lalald.config.model import Config
from lalald.config.paths import SYSTEM_CONFIG, absolute, home_config_folder
from lalald.config.resolving import Reading, Resolved, resolved
from lalald.config.schema.validation import shaped
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
    """A file with its mistakes and warnings. `resolved` is None where it holds no keys at all."""

    path: Path
    findings: Findings
    resolved: Resolved | None

    def config(self) -> Config:
        """The configuration. Raises ConfigError, which lists every mistake."""
        config = self.resolved.config if self.resolved else None
        if config is None or self.findings.mistakes:
            raise self.findings.error(str(self.path))
        lines = self.findings.lines.items()
        numbers = {spelled(where): line for where, line in lines if where not in self.findings.sources}
        return replace(config, warnings=self.findings.told_warnings(), lines=numbers)


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """See `lalald.config.load`."""
    return examine(path, environ).config()


def examine(path: Path, environ: Mapping[str, str]) -> Examined:
    """What a file says, and all that is wrong with it as it is written. Raises ConfigError where it cannot be read."""
    path = absolute(path)
    written = read(read_text(path))
    findings = Findings(
        written.lines, mistakes=list(dict.fromkeys(written.mistakes)), warnings=list(dict.fromkeys(written.warnings))
    )
    _warn_of_names(path, environ, findings)
    data = _mapping(written.data, findings)
    if data is None:
        return Examined(path, findings, None)
    _override(data, environ, findings)
    found = resolved(shaped(data, findings), Reading(path, environ, findings))
    _check_key_files(found.license_key_file, environ, findings)
    return Examined(path, findings, found)


def _mapping(data: Any, findings: Findings) -> dict[str, Any] | None:
    """The keys at the top of the file, or None and a mistake."""
    if isinstance(data, dict):
        return data
    if data is None and not findings.mistakes:
        findings.mistake((), "the file is empty; lalald init writes one to start from")
    elif data is not None:
        findings.mistake((), f"expected keys such as inboxes:, got {quoted(data)}")
    return None


def _warn_of_names(path: Path, environ: Mapping[str, str], findings: Findings) -> None:
    """Warns of variables and files that have no effect because of their names."""
    for name, words in unknown_variables(environ):
        findings.sources[name,] = name
        findings.warn((name,), words)
    for file in unread_files(path, Path(SYSTEM_CONFIG), home_config_folder(environ)):
        findings.sources[str(file),] = str(file)
        findings.warn((str(file),), f"is not read, {path} is; the name of a configuration is config.yaml")


def _override(data: dict[str, Any], environ: Mapping[str, str], findings: Findings) -> None:
    for variable, where in OVERRIDES.items():
        value = environ.get(variable)
        section = _section(data, where) if value else None
        if value and section is not None:  # where a section is no mapping, that is the mistake to tell
            section[where[-1]] = Plain(value)
            findings.sources[where] = variable


def _section(data: dict[str, Any], where: tuple[str, ...]) -> dict[str, Any] | None:
    for step in where[:-1]:
        if data.get(step) is None:
            data[step] = {}
        if not isinstance(data[step], dict):
            return None
        data = data[step]
    return data


def _check_key_files(configured: Path | None, environ: Mapping[str, str], findings: Findings) -> None:
    """Warns of license keys that everybody on the machine can read."""
    if environ.get(BY_ENVIRONMENT):
        findings.sources[BY_ENVIRONMENT,] = BY_ENVIRONMENT
    try:
        files = list(key_files(configured, environ))
    except ConfigError as error:
        findings.mistake((BY_ENVIRONMENT,), f"{error}; {error.hint}".removeprefix(f"{BY_ENVIRONMENT}: "))
        return
    for origin, file in files:
        if readable_by_others(file):
            where = (origin,)
            findings.warn(where, f"every user of this machine can read {file}; chmod 600 keeps it to one")
