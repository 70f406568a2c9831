"""The daemon itself."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="carry what is in the inboxes to its end, then exit")


def run(arguments: Namespace) -> int:
    from lalald.config import apart, find

    reading = apart.begin(find(arguments.config, os.environ), os.environ)
    from lalald.daemon import run as carry  # takes as long as the reading does

    return carry(reading(), once=arguments.once)
