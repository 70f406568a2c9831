"""`lalald relocate`: inboxes, outboxes and other folders have moved; the database follows them."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from contextlib import closing

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.daemon.process.lock import only_daemon
from lalald.errors import NoStoreError, UsageError
from lalald.inbox.scanning.scanned_places import places_key
from lalald.reports.formatting import count, printable
from lalald.store import database
from lalald.store.relocation import Relocation, relocate


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")
    parser.add_argument(
        "old", metavar="OLD", help="where the folder was: an inbox, an outbox, or a folder with several of them"
    )
    parser.add_argument("new", metavar="NEW", help="where it is now")


def run(arguments: Namespace) -> int:
    old, new = os.path.abspath(arguments.old), os.path.abspath(arguments.new)
    if not os.path.isdir(new):
        raise UsageError(
            f"{printable(new)} is not a folder.", hint="Move the files first, then run this again. Nothing was changed."
        )
    if os.path.commonpath([old, new]) in (old, new):
        raise UsageError(
            f"{printable(old)} and {printable(new)} contain one another; nothing was changed.",
            hint="Run this for each inbox and outbox alone, as in: lalald relocate /data/inbox /data/songs/inbox",
        )
    folder = state_dir(arguments.config)
    if not database.is_in(folder):
        raise NoStoreError(
            f"{folder} holds no database yet; nothing was changed.",
            hint="If the state folder has moved too, write its new place into the configuration (`state_dir`) first.",
        )
    with only_daemon(folder), closing(database.connect(folder)) as connection:
        done = relocate(connection, old, new, places_key)
    _show(done, as_json=arguments.json)
    return 0


def _show(done: Relocation, *, as_json: bool) -> None:
    if as_json:
        show_json({"folders": done.folders, "rows": done.rows})
        return
    for path in done.folders:
        say(f"now at {printable(path)}")
    say(
        f"{count(sum(done.rows.values()), 'row')} rewritten. Change the paths in the configuration too, then start the daemon."
    )
