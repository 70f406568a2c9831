"""Ask LALAL.AI for the minutes left on the account."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.control.socket_client import wake
from lalald.errors import LalaldError
from lalald.jobs.spending.prices import free_text
from lalald.reports.minutes_account import minutes_account
from lalald.store.request_writer import Kind, Requests

_ROUNDING_MINUTES = 0.1

_NONE_LEFT = (
    "No minutes are left. Buy more on the LALAL.AI website: held jobs then resume automatically."
    " Nothing is uploaded until then."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    from lalald.commands.prerequisites.api_query import ask
    from lalald.config import find, load

    config = load(find(arguments.config, os.environ), os.environ)
    left = ask(config, lambda client: client.minutes_left())
    with suppress(LalaldError):  # the answer is there in any case
        _report_change(config.state_dir, left)
    if arguments.json:
        show_json({"minutes_left": left})
    else:
        say(f"{free_text(left)} minutes left" if left > 0 else _NONE_LEFT)
    return 0


def _report_change(state_dir: Path, left: float) -> None:
    """If the daemon knows another figure, as before a top-up, let it ask, too: `status` is right, and held jobs resume."""
    with Requests.open(state_dir) as requests, requests.together():
        known = minutes_account(requests, time.time()).left
        if known is not None and abs(known - left) < _ROUNDING_MINUTES:
            return
        requests.ask(Kind.MINUTES)
    wake(state_dir)
