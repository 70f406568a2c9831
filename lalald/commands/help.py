"""List all commands, or explain one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from lalald.commands.command_list import VERBS, Verb
from lalald.commands.output.json_output import show_json
from lalald.commands.parser import build, unknown_command
from lalald.errors import UsageError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("about", nargs="?", metavar="COMMAND", help="the command to explain; default: list all of them")
    parser.add_argument("--json", action="store_true", help="print JSON: a list of objects, or one object")


def run(arguments: Namespace) -> int:
    name = arguments.about
    if name is not None and name not in VERBS:
        raise UsageError(unknown_command(name), hint="`lalald help` lists them.")
    if arguments.json:
        show_json([_facts(verb) for verb in VERBS.values()] if name is None else _facts(VERBS[name]))
    elif name is None:
        build([]).print_help()
    else:
        build([name]).parse_args([name, "--help"])
    return 0


def _facts(verb: Verb) -> dict[str, Any]:
    return {
        "command": verb.name,
        "summary": verb.summary,
        "more": verb.more or None,
        "examples": list(verb.examples),
        "costs": verb.costs,
    }
