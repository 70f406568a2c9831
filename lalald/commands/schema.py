"""The configuration's JSON Schema, for editors."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """It takes none."""
    del parser


def run(arguments: Namespace) -> int:
    """Prints it."""
    from lalald.config.schema import schema

    del arguments
    print(json.dumps(schema(), indent=2))
    return 0
