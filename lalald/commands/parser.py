"""The command line as argparse sees it."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module

from lalald import __version__
from lalald.commands.verbs import GROUPS, VERBS, Verb
from lalald.suggestions import unknown

_CONFIG = "the configuration; default: $LALALD_CONFIG, then the usual places"
EXIT_CODES = """exit codes:
  0 fine, 1 some jobs failed or are held, 2 usage or configuration, 3 daemon not running or unhealthy"""


def build(words: Sequence[str]) -> ArgumentParser:
    """The whole parser; only commands that stand in `words` have arguments, for theirs are the modules to load."""
    parser = ArgumentParser(
        prog="lalald",
        usage="lalald [--config FILE] COMMAND …",
        description="Watches folders and carries what is dropped there through LALAL.AI: stems and cleaned voices.",
        epilog=f"{_listing()}\n\n`lalald COMMAND --help` tells more, with examples and costs.\n\n{EXIT_CODES}",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lalald {__version__}")
    parser.add_argument("--config", metavar="FILE", help=_CONFIG)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="lalald", help=SUPPRESS)
    for verb in VERBS.values():
        command = commands.add_parser(
            verb.name,
            description=verb.summary,
            epilog=_epilog(verb),
            formatter_class=RawDescriptionHelpFormatter,
            conflict_handler="resolve",
            allow_abbrev=False,
        )
        if verb.name in words:
            if verb.configured:
                command.add_argument("--config", metavar="FILE", default=SUPPRESS, help=_CONFIG)
            import_module(verb.module).add_arguments(command)
    return parser


def check_command(parser: ArgumentParser, words: Sequence[str]) -> None:
    """Ends the program where the first word that is no option is no command, and says which one was meant."""
    rest = iter(words)
    for word in rest:
        if word == "--config":
            next(rest, None)
        elif not word.startswith("-"):
            if word not in VERBS:
                parser.error(unknown("command", word, VERBS))
            return


def _epilog(verb: Verb) -> str:
    examples = "\n".join(f"  {example}" for example in verb.examples)
    return "\n\n".join(part for part in (verb.more, f"examples:\n{examples}", f"costs: {verb.costs}") if part)


def _listing() -> str:
    """The commands with what they do, group by group."""
    return "\n\n".join(
        "\n".join([f"{heading}:", *(f"  {verb.name:<14}{verb.summary}" for verb in verbs)]) for heading, verbs in GROUPS
    )
