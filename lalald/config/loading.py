"""A file → `Config`: read, shape, resolve; whatever is wrong with it is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lalald.config.key_files import key_files, readable_by_others
from lalald.config.mistakes import Findings, Mistake, spelled
from lalald.config.model import Config
from lalald.config.paths import absolute
from lalald.config.reading import Plain, read
from lalald.config.resolve import Reading, resolved
from lalald.config.shape import shaped
from lalald.config.source_text import read_text
from lalald.suggestions import quoted

OVERRIDES: Mapping[str, tuple[str, ...]] = {
    "LALALD_API_URL": ("api_url",),
    "LALALD_STATE_DIR": ("state_dir",),
    "LALALD_LOG_LEVEL": ("log", "level"),
    "LALALD_LOG_FORMAT": ("log", "format"),
}


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """See `lalald.config.load`."""
    path = absolute(path)
    written = read(read_text(path))
    findings = Findings(written.lines, mistakes=[Mistake(*found) for found in dict.fromkeys(written.mistakes)])
    data = _mapping(written.data, findings)
    if data is None:
        raise findings.error(str(path))
    _override(data, environ, findings)
    config = resolved(shaped(data, findings), Reading(path, environ, findings))
    if findings.mistakes or config is None:
        raise findings.error(str(path))
    _check_key_files(config, environ, findings)
    lines = {spelled(where): line for where, line in written.lines.items() if where not in findings.sources}
    return replace(config, warnings=findings.told_warnings(), lines=lines)


def _mapping(data: Any, findings: Findings) -> dict[str, Any] | None:
    """The keys at the top of the file, or None and a mistake."""
    if isinstance(data, dict):
        return data
    if data is None and not findings.mistakes:
        findings.mistake((), "the file is empty; lalald init writes one to start from")
    elif data is not None:
        findings.mistake((), f"expected keys such as inboxes:, got {quoted(data)}")
    return None


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


def _check_key_files(config: Config, environ: Mapping[str, str], findings: Findings) -> None:
    """Warns of licence keys that everybody on the machine can read."""
    for origin, file in key_files(config.license_key_file, environ):
        if readable_by_others(file):
            where = (origin,)
            if origin in environ:
                findings.sources[where] = origin
            findings.warn(where, f"every user of this machine can read {file}; chmod 600 keeps it to one")
