"""The minutes left on the account."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from lalald.commands.json_output import show_json
from lalald.money import free_text


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as an object")


def run(arguments: Namespace) -> int:
    from lalald.commands.service import ask
    from lalald.config import find, load

    left = ask(load(find(arguments.config, os.environ), os.environ), lambda client: client.minutes_left())
    if arguments.json:
        show_json({"minutes_left": left})
    else:
        print(f"{free_text(left)} minutes left")
    return 0
