"""The command line as an argparse parser."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action, ArgumentParser, HelpFormatter
from collections.abc import Sequence
from importlib import import_module
from platform import python_version
from typing import Any, NoReturn

from lalald import __version__
from lalald.commands.command_list import GROUPS, VERBS, Verb
from lalald.commands.output.wrapping import command_line, wrapped
from lalald.errors import UsageError
from lalald.suggestions import unknown

_CONFIG = "the configuration; default: $LALALD_CONFIG, else ~/.config/lalald/config.yaml, else /etc/lalald/config.yaml"
_WITHIN_A_PARAGRAPH = re.compile(r"(?<!\n)(?<!:)\n(?![ \n])")  # not before or in a list, whose lines are indented
_EXAMPLE = "  lalald ", "  LALALD_"  # how every example begins
EXIT_CODES = """exit codes:
  0             fine
  1             some jobs failed or are held, or something needs you
  2             usage or configuration
  3             daemon not running or unhealthy"""


class _Format(HelpFormatter):
    """Wraps text at words to the terminal's width; commands and lists keep their lines."""

    def _get_default_metavar_for_optional(self, action: Action) -> str:
        """The unit alone: `--link-seconds SECONDS`."""
        name = action.dest.upper().split("_PER_")[0]
        return "SECONDS" if "SECONDS" in name else name.rsplit("_", 1)[-1]

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.split("\n")
        return "\n".join(
            command_line(line, width) if line.startswith(_EXAMPLE) else wrapped(indent + line, width) for line in lines
        )


class Parser(ArgumentParser):
    """Raises UsageError instead of printing and exiting, so that all errors are reported in one way, in JSON too."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Like argparse, but unknown arguments are reported with the command's own help, and empty ones are refused.

        An empty argument usually comes from an unset variable; as a path it would mean the current folder.
        """
        arguments, left = self.parse_known_args(args, namespace)
        if left:
            words = ("lalald", *filter(None, (getattr(arguments, "command", None),)))
            hint = f"`{' '.join(words)} --help` shows how it is used."
            raise UsageError(f"unknown arguments: {' '.join(left)}.", hint=hint)
        if any("" in value for value in vars(arguments).values() if isinstance(value, list)):
            raise UsageError("an argument is empty.", hint="Is a variable of your shell unset?")
        return arguments

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}.", hint=f"`{self.prog} --help` shows how it is used.")


def build(words: Sequence[str]) -> ArgumentParser:
    """The parser. Only commands in `words` get their arguments: no other modules are loaded."""
    parser = Parser(
        prog="lalald",
        usage="lalald [--config FILE] COMMAND …",
        description="Watch folders and process audio and video files with LALAL.AI: stems, cleaned and changed voices.",
        epilog=f"{_listing()}\n\n`lalald help COMMAND` explains one, with examples and costs.\n\n{EXIT_CODES}",
        formatter_class=_Format,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lalald {__version__} (Python {python_version()})")
    parser.add_argument("--config", metavar="FILE", help=_CONFIG)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="lalald", help=SUPPRESS)
    for verb in VERBS.values():
        command = commands.add_parser(
            verb.name,
            description=verb.summary,
            epilog=_epilog(verb),
            formatter_class=_Format,
            conflict_handler="resolve",
            allow_abbrev=False,
        )
        if verb.name in words:
            if verb.configured:
                command.add_argument("--config", metavar="FILE", default=SUPPRESS, help=_CONFIG)
            import_module(verb.module).add_arguments(command)
    return parser


def check_command(words: Sequence[str]) -> None:
    """Raises UsageError if the first word that is not an option is not a command; suggests one."""
    rest = iter(words)
    for word in rest:
        if word == "--config":
            next(rest, None)
        elif not word.startswith("-"):
            if word not in VERBS:
                raise UsageError(unknown_command(word), hint="`lalald help` lists the commands.")
            return


def unknown_command(word: str) -> str:
    """The message for a word that is not a command."""
    return f"{unknown('command', word, VERBS)}."


def _epilog(verb: Verb) -> str:
    examples = "\n".join(f"  {example}" for example in verb.examples)
    more = _WITHIN_A_PARAGRAPH.sub(" ", verb.more)
    return "\n\n".join(part for part in (more, f"examples:\n{examples}", f"costs: {verb.costs}") if part)


def _listing() -> str:
    """The commands with their summaries, group by group."""
    return "\n\n".join(
        "\n".join([f"{heading}:", *(f"  {verb.name:<14}{verb.summary}" for verb in verbs)]) for heading, verbs in GROUPS
    )
