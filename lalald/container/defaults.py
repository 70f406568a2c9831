"""The configuration of a container that has none: one rule for /inbox, set by variables, for interfaces that set nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lalald import presets
from lalald.commands.init import RECIPES
from lalald.errors import ConfigError
from lalald.suggestions import meant, quoted, unknown

_TEMPLATE = Path(__file__).with_name("default.yaml")
_HINT = "Variables cover the common settings; the rest belongs into /config/config.yaml."
_RULE = "inboxes[0].rules[0]"
_PAGE = "0.0.0.0:8910"
_INSTRUMENTAL = {
    "instrumental": "no_vocals",
    "accompaniment": "no_vocals",
}  # common names for what the service calls no_vocals, where it is all but the vocals


class Variable(NamedTuple):
    """A variable and the key of the configuration that it sets, as `check-config` spells it."""

    name: str
    key: str


# Those that choose the rule's tasks; the others set one key each.
TASK_VARIABLES = ("LALALD_MODE", "LALALD_STEM", "LALALD_STEMS", "LALALD_VOICE", "LALALD_FORMAT", "LALALD_TRACKS")
_INBOX_VARIABLES = (
    Variable("LALALD_EXISTING", "existing"),
    Variable("LALALD_SETTLE", "settle"),
    Variable("LALALD_ON_SUCCESS", "on_success"),
)
_MINUTES_VARIABLES = (
    Variable("LALALD_MINUTES_PER_FILE", "per_file"),
    Variable("LALALD_MINUTES_PER_DAY", "per_day"),
    Variable("LALALD_MINUTES_RESERVE", "reserve"),
)
WEB_VARIABLES = ("LALALD_WEB_PASSWORD", "LALALD_WEB_PASSWORD_FILE", "LALALD_WEB_AUTH", "LALALD_WEB_HOSTS")
VARIABLES = (
    "LALALD_RECIPE",
    *TASK_VARIABLES,
    *(variable.name for variable in (*_INBOX_VARIABLES, *_MINUTES_VARIABLES)),
    *WEB_VARIABLES,
)
_BY_PRESET = {"stem": "LALALD_STEM", "voice_pack_id": "LALALD_VOICE", "encoder_format": "LALALD_FORMAT"}


def write(path: Path, environ: Mapping[str, str]) -> None:
    """Write the default configuration to `path`; a start that would change nothing writes nothing.

    Raises:
        ConfigError: a variable has a value that the configuration or the service does not know.
        OSError: it cannot be written.
    """
    text = _text(environ)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    unfinished = path.with_name(f".{path.name}.making")
    unfinished.write_text(text, encoding="utf-8")
    try:
        if errors := list(_errors(unfinished, environ)):
            raise ConfigError("\n  ".join(errors), hint=_HINT)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _text(environ: Mapping[str, str]) -> str:
    """The file, without the keys whose variables are not set. Raises ConfigError for tasks that are not possible."""
    top = _top(environ)
    if recipe := environ.get("LALALD_RECIPE", "").strip():
        return top + _recipe(recipe, environ)
    mode, chosen = _task(environ)
    lines = [f"{key}: {json.dumps(value)}" for key, value in _set(_INBOX_VARIABLES, environ)]
    if tracks := _list(environ, "LALALD_TRACKS"):
        names = _INSTRUMENTAL if (mode, chosen.get("stem")) == ("stem_separator", "vocals") else {}
        chosen_tracks = [names.get(track, track) for track in tracks]
    parts = {
        "TOP": top,
        "INBOX": "".join(f"    {line}\n" for line in lines),
        "MODE": mode,
        "PRESETS": json.dumps(chosen),
        "TRACKS": f"        tracks: {json.dumps(chosen_tracks)}\n" if tracks else "",
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in parts.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _top(environ: Mapping[str, str]) -> str:
    """What comes before the inboxes: limits, and the page as soon as it has a password or needs none."""
    minutes = dict(_set(_MINUTES_VARIABLES, environ))
    web: dict[str, Any] = {}
    if auth := environ.get("LALALD_WEB_AUTH", "").strip():
        web["auth"] = auth
    if hosts := _list(environ, "LALALD_WEB_HOSTS"):
        web["hosts"] = hosts
    has_password = environ.get("LALALD_WEB_PASSWORD") or environ.get("LALALD_WEB_PASSWORD_FILE")
    if has_password or web.get("auth") == "none":
        web = {"listen": _PAGE, **web}
    blocks = {"minutes": minutes, "web": web}
    return "".join(f"{key}: {json.dumps(block)}\n\n" for key, block in blocks.items() if block)


def _recipe(name: str, environ: Mapping[str, str]) -> str:
    """A recipe of `lalald init`, for the image's folders. Raises ConfigError for an unknown one, or beside variables that it decides."""
    if name not in RECIPES:
        raise ConfigError(f"LALALD_RECIPE: {unknown('recipe', name, RECIPES)}", hint=_HINT)
    if decided := [variable for variable in TASK_VARIABLES if environ.get(variable, "").strip()]:
        raise ConfigError(f"{decided[0]}: LALALD_RECIPE={name} decides it; remove one of the two", hint=_HINT)
    text = RECIPES[name].read_text(encoding="utf-8")
    text = re.sub(r"(?m)^state_dir:.*\n", "", text)  # LALALD_STATE_DIR says where
    for word, path in (("KEY_FILE", "/config/license-key"), ("INBOX", "/inbox"), ("OUTBOX", "/outbox")):
        text = re.sub(rf"(?m) {word}$", f" {path}", text)
    for key, value in _set(_INBOX_VARIABLES, environ):
        text = re.sub(rf"(?m)^    {key}:.*\n", "", text)
        text = text.replace("    outbox: /outbox\n", f"    outbox: /outbox\n    {key}: {json.dumps(value)}\n", 1)
    return text


def _set(variables: tuple[Variable, ...], environ: Mapping[str, str]) -> Iterator[tuple[str, str | float]]:
    """The keys of the variables that have a value; numbers as numbers."""
    for variable in variables:
        if value := environ.get(variable.name, "").strip():
            yield variable.key, _plain(value)


def _plain(value: str) -> str | float:
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number


def _list(environ: Mapping[str, str], name: str) -> list[str]:
    return [word for word in map(str.strip, environ.get(name, "").split(",")) if word]


def _task(environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Mode and presets. Raises ConfigError with everything that is wrong with them."""
    stems_variable = "LALALD_STEMS" if _list(environ, "LALALD_STEMS") else "LALALD_STEM"
    default_mode = "multistem" if stems_variable == "LALALD_STEMS" else "stem_separator"
    mode = environ.get("LALALD_MODE", "").strip() or default_mode
    errors = [] if mode in presets.MODES else [f"LALALD_MODE: {unknown('mode', mode, presets.MODES)}"]
    likely = next(iter(meant(mode, presets.MODES, "mode")), "") if errors else mode
    stems = _list(environ, stems_variable)
    chosen = _presets(likely, stems, environ)
    if likely and likely != "multistem" and stems_variable == "LALALD_STEMS":
        errors.append(f"LALALD_STEMS: is for LALALD_MODE=multistem; {likely} takes LALALD_STEM")
    elif likely == "stem_separator" and isinstance(chosen["stem"], list):
        errors.append(_too_many(chosen["stem"]))
    elif likely:
        variables = {**_BY_PRESET, "stem_list": stems_variable}
        errors += [f"{variables.get(one.key, one.key)}: {one.words}" for one in presets.mistakes(likely, chosen)]
    if errors:
        raise ConfigError("\n  ".join(errors), hint=_HINT)
    return mode, chosen


def _too_many(stems: list[str]) -> str:
    listed = ",".join(stems)
    return (
        f"LALALD_STEM: stem_separator takes one stem, got {len(stems)}; LALALD_STEMS={quoted(listed)} with multistem takes them, and"
        " charges each"
    )


def _presets(mode: str, stems: list[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """The presets that the variables set. Only stem_separator has a default: every other choice changes the price."""
    chosen: dict[str, Any] = {}
    if mode == "multistem":
        chosen = {"stem_list": stems} if stems else {}
    elif stems or mode == "stem_separator":
        chosen = {"stem": stems if len(stems) > 1 else "".join(stems) or "vocals"}
    if voice := environ.get("LALALD_VOICE", "").strip():
        chosen["voice_pack_id"] = voice
    if encoder := environ.get("LALALD_FORMAT", "").strip():
        chosen["encoder_format"] = encoder.lower()
    return chosen


def _errors(path: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """What `check-config` finds wrong with the values of variables, named by the variable.

    In a separate process: the daemon, which runs in this one, must not load the configuration's parser.
    """
    keys = {f"inboxes[0].{variable.key}": variable.name for variable in _INBOX_VARIABLES}
    keys |= {f"minutes.{variable.key}": variable.name for variable in _MINUTES_VARIABLES}
    keys |= {"web.auth": "LALALD_WEB_AUTH", "web.hosts": "LALALD_WEB_HOSTS"}
    keys |= {f"{_RULE}.tracks": "LALALD_TRACKS", f"{_RULE}.presets.encoder_format": "LALALD_FORMAT"}
    words = [sys.executable, "-m", "lalald", "--config", str(path), "check-config", "--json"]
    # S603: the program is this one
    done = subprocess.run(words, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    for error in json.loads(done.stdout or "{}").get("errors", []):
        for key, variable in keys.items():
            if error["key"] == key or error["key"].startswith((f"{key}.", f"{key}[")):
                yield f"{variable}: {error['message']}"
