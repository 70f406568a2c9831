"""Print the configuration's JSON Schema, for editors."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="report errors as JSON too; the schema always is JSON")


def run(arguments: Namespace) -> int:
    from lalald.config.schema.json_schema import schema

    del arguments
    print(json.dumps(schema(), indent=2))
    return 0
