"""Make the daemon scan its inboxes now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.commands.prerequisites.job_selection import inbox_named, ring
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.reports.formatting import printable
from lalald.store.request_writer import Kind, Requests


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")
    parser.add_argument("inboxes", nargs="*", metavar="INBOX", help="paths of inboxes; default: all of them")


def run(arguments: Namespace) -> int:
    folder = state_dir(arguments.config)
    with Requests.open(folder) as requests, requests.together():
        inboxes = [inbox_named(requests, word) for word in arguments.inboxes]
        if not inboxes:
            requests.ask(Kind.RESCAN)
        for inbox in inboxes:
            requests.ask(Kind.RESCAN, inbox)
        scanned = inboxes or [inbox.path for inbox in requests.inboxes()]
    if arguments.json:
        show_json({"inboxes": scanned})
    else:
        say("Requested a scan of " + (", ".join(map(printable, inboxes)) if inboxes else "every inbox"))
    return ring(folder, quiet=arguments.json)
