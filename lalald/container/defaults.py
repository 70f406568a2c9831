"""The configuration of a container that has none: one rule for /inbox, chosen by variables, for interfaces that set nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lalald import presets
from lalald.errors import ConfigError
from lalald.suggestions import meant, quoted, unknown

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
    mistakes = [] if mode in presets.MODES else [f"LALALD_MODE: {unknown('mode', mode, presets.MODES)}"]
    judged = next(iter(meant(mode, presets.MODES, "mode")), "") if mistakes else mode
    chosen = _presets(judged, environ)
    if judged == "stem_separator" and isinstance(chosen["stem"], list):
        mistakes.append(_several(chosen["stem"]))
    elif judged:
        mistakes += [f"{_SAID_BY[found.key]}: {found.words}" for found in presets.mistakes(judged, chosen)]
    if mistakes:
        raise ConfigError("\n  ".join(mistakes), hint="every other setting belongs into /config/config.yaml")
    template = _TEMPLATE.read_text(encoding="utf-8")
    return template.replace(" MODE\n", f" {mode}\n").replace(" PRESETS\n", f" {json.dumps(chosen)}\n")


def _several(stems: list[str]) -> str:
    listed = ",".join(stems)
    return (
        f"LALALD_STEM: stem_separator takes one stem, got {len(stems)}; LALALD_MODE=multistem takes {quoted(listed)}, and"
        " charges each of them"
    )


def _presets(mode: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the variables say; a mode's own default only for vocals and instrumental, since each other choice costs otherwise."""
    stems = [name for name in map(str.strip, environ.get("LALALD_STEM", "").split(",")) if name]
    voice = environ.get("LALALD_VOICE", "").strip()
    said: dict[str, Any] = {}
    if mode == "multistem":
        said = {"stem_list": stems} if stems else {}
    elif stems or mode == "stem_separator":
        said = {"stem": stems if len(stems) > 1 else "".join(stems) or "vocals"}
    return {**said, "voice_pack_id": voice} if voice else said
