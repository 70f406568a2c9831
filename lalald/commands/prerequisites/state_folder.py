"""Find the state folder without checking the whole configuration.

Commands that only need the store must work while the configuration has errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from lalald.config.paths import default_state_dir, expanded, find
from lalald.config.yaml.source_text import read_text
from lalald.errors import ConfigError

_MENTIONED = r"^[^#\n]*\bstate_dir\b"
_USUAL = (
    r"^state_dir[ ]*:[ ]+"
    r"""(?:"([^"\\\n]*)"|'([^'\n]*)'|((?:[/$.\w]|~/)[^\n#]*?))"""  # in double quotes, single quotes, or none
    r"[ \r]*(?:[ ]#.*)?$"
)


def state_dir(explicit: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder that the configuration (`explicit`: --config) or the environment names. Raises ConfigError, FileError."""
    try:
        given = environ.get("LALALD_STATE_DIR")
        if given:
            return expanded(given, environ, None)
        written, base = _written(explicit, environ)
        return expanded(written, environ, base) if written else default_state_dir(environ)
    except ValueError as error:
        raise ConfigError(f"state_dir: {error}", hint="`lalald check-config` shows details.") from error


def _written(explicit: str | None, environ: Mapping[str, str]) -> tuple[str | None, Path | None]:
    try:
        path = find(explicit, environ)
    except ConfigError:
        if explicit is not None or environ.get("LALALD_CONFIG") or not _has_default(environ):
            raise
        return None, None  # a daemon has run without a file, with the environment alone
    return _value(read_text(path)), path.parent


def _has_default(environ: Mapping[str, str]) -> bool:
    try:
        return default_state_dir(environ).is_dir()
    except ValueError:
        return False


def _value(text: str) -> str | None:
    """The value of `state_dir`. A YAML parser is loaded only if it is written in an unusual way."""
    mentions = re.findall(_MENTIONED, text, re.MULTILINE)
    if not mentions:
        return None
    usual = re.search(_USUAL, text, re.MULTILINE)
    if usual and len(mentions) == 1:
        return usual[1] or usual[2] or usual[3]
    from lalald.config.yaml.reader import read

    data = read(text).data
    value = data.get("state_dir") if isinstance(data, dict) else None
    return str(value) if isinstance(value, str) else None
