"""List the voice packs for change_voice."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from lalald.commands.output.error_output import complain, exit_code_of
from lalald.commands.output.json_output import error_facts, show_json
from lalald.commands.output.printing import say, show_sections
from lalald.commands.output.tables import Section
from lalald.errors import LalaldError, ServiceError
from lalald.presets import VOICES
from lalald.reports.formatting import iso, moment, printable


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON: a list of objects; an object with `error` if your own cannot be fetched",
    )


def run(arguments: Namespace) -> int:
    """List the voices of the service even if those of the account cannot be fetched."""
    from lalald.commands.prerequisites.api_query import ask
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
    facts = [{**pack, "created_at": iso(pack["created_at"])} for pack in packs]
    if trouble is not None:
        said = LalaldError(f"your own voice packs cannot be listed: {trouble}", hint=trouble.hint)
        if arguments.json:
            show_json({**error_facts(said), "voices": facts})
        else:
            _show(packs)
            complain(said)
        return exit_code_of(trouble)
    if arguments.json:
        show_json(facts)
    else:
        _show(packs)
        if len(packs) == len(VOICES):
            say("You have no voice packs of your own. You can create one on the LALAL.AI website.")
    return 0


def _show(packs: list[dict[str, Any]]) -> None:
    rows = [
        (
            printable(pack["voice_pack_id"]),
            printable(pack["name"]),
            moment(pack["created_at"]) if pack["own"] else "available to all",
        )
        for pack in packs
    ]
    show_sections([Section("", rows, ("VOICE_PACK_ID", "NAME", "SINCE"))])
