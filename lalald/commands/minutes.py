"""Ask LALAL.AI for the minutes left on the account."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.jobs.spending.prices import free_text

_NONE_LEFT = (
    "No minutes are left. Buy more on the LALAL.AI website: held jobs then resume automatically."
    " Nothing is uploaded until then."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    from lalald.commands.prerequisites.api_query import ask
    from lalald.config import find, load

    left = ask(load(find(arguments.config, os.environ), os.environ), lambda client: client.minutes_left())
    if arguments.json:
        show_json({"minutes_left": left})
    else:
        say(f"{free_text(left)} minutes left" if left > 0 else _NONE_LEFT)
    return 0
