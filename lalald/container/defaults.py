"""The configuration of a container that has none: one rule for /inbox, chosen by variables, for interfaces that set nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lalald import presets
from lalald.errors import ConfigError
from lalald.suggestions import unknown

VARIABLES = ("LALALD_MODE", "LALALD_STEM", "LALALD_VOICE")
_TEMPLATE = Path(__file__).with_name("default.yaml")
_SAID_BY = {"stem": "LALALD_STEM", "stem_list": "LALALD_STEM", "voice_pack_id": "LALALD_VOICE"}


def write(path: Path, environ: Mapping[str, str]) -> None:
    """The default configuration at `path`; what is there and says the same is left alone, so that a start writes nothing.

    Raises:
        ConfigError: a variable asks for what the service does not have.
        OSError: it cannot be written.
    """
    text = _text(environ)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    making = path.with_name(f".{path.name}.making")
    making.write_text(text, encoding="utf-8")
    os.replace(making, path)


def _text(environ: Mapping[str, str]) -> str:
    mode = environ.get("LALALD_MODE", "").strip() or "stem_separator"
    if mode not in presets.MODES:
        raise ConfigError(f"LALALD_MODE: {unknown('mode', mode, presets.MODES)}")
    chosen = _presets(mode, environ)
    mistakes = [f"{_SAID_BY[found.key]}: {found.words}" for found in presets.mistakes(mode, chosen)]
    if mistakes:
        raise ConfigError("\n  ".join(mistakes), hint="every other setting belongs into /config/config.yaml")
    template = _TEMPLATE.read_text(encoding="utf-8")
    return template.replace(" MODE\n", f" {mode}\n").replace(" PRESETS\n", f" {json.dumps(chosen)}\n")


def _presets(mode: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the variables say; a mode's own default only for vocals and instrumental, since each other choice costs otherwise."""
    stem, voice = environ.get("LALALD_STEM", "").strip(), environ.get("LALALD_VOICE", "").strip()
    said: dict[str, Any] = {}
    if mode == "multistem":
        said = {"stem_list": [name.strip() for name in stem.split(",")]} if stem else {}
    elif stem or mode == "stem_separator":
        said = {"stem": stem or "vocals"}
    return {**said, "voice_pack_id": voice} if voice else said
