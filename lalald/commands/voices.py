"""The voice packs that change_voice can use."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from lalald.commands.layout import Section, show, show_json
from lalald.commands.wording import iso, moment, shown
from lalald.errors import LicenceRefusedError, ServiceError
from lalald.presets import VOICES


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as a list of objects")


def run(arguments: Namespace) -> int:
    """Those that everybody has are told even where the account's own cannot be."""
    from lalald.commands.service import ask
    from lalald.config import find, load

    config = load(find(arguments.config, os.environ), os.environ)
    trouble: ServiceError | None = None
    own = []
    try:
        own = ask(config, lambda client: client.voice_packs())
    except ServiceError as error:
        trouble = error
    packs: list[dict[str, Any]] = [
        {"voice_pack_id": voice, "name": voice, "own": False, "created_at": None} for voice in VOICES
    ]
    packs += [
        {"voice_pack_id": pack.pack_id, "name": pack.name, "own": True, "created_at": pack.created_at}
        for pack in own
        if pack.pack_id not in VOICES
    ]
    _show(packs, as_json=arguments.json)
    if trouble is None:
        return 0
    print(f"lalald: your own voice packs could not be asked for: {trouble}", file=sys.stderr)
    if trouble.hint:
        print(f"  {trouble.hint}", file=sys.stderr)
    return 2 if isinstance(trouble, LicenceRefusedError) else 1


def _show(packs: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show_json([{**pack, "created_at": iso(pack["created_at"])} for pack in packs])
        return
    rows = [
        (
            shown(pack["voice_pack_id"]),
            shown(pack["name"]),
            moment(pack["created_at"]) if pack["own"] else "everybody's",
        )
        for pack in packs
    ]
    show([Section("", rows, ("VOICE_PACK_ID", "NAME", "SINCE"))])
