"""Show the daemon, the inboxes, the jobs and what needs you, on one screen."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import ConfigError, FileError, UsageError
from lalald.reports.status_report import Folders, gather

_EVERY_SECONDS = 1.0


def add_arguments(parser: ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON: an object")
    how.add_argument("--prometheus", action="store_true", help="print metrics in Prometheus' text format")
    how.add_argument("--watch", action="store_true", help="on a terminal: update the screen every second, until Ctrl-C")


def run(arguments: Namespace) -> int:
    from lalald.commands.output.json_output import show_json
    from lalald.commands.output.printing import is_terminal, output_width, show
    from lalald.commands.output.status_screen import lines
    from lalald.reports.status_json import facts

    folder = state_dir(arguments.config)
    configured, config_error = _folders(arguments.config)
    if arguments.watch:
        if not is_terminal():
            raise UsageError("--watch needs a terminal.", hint="Programs can use `lalald status --json`.")
        return _watch(folder, configured, config_error)
    if arguments.prometheus:
        return _print_metrics(folder, configured, config_error)
    overview = gather(folder, configured, config_error, time.time())
    if arguments.json:
        show_json(facts(overview))
    else:
        show(lines(overview, output_width()))
    return overview.exit_code


def _print_metrics(folder: Path, configured: Folders | None, config_error: str | None) -> int:
    from lalald.reports.metrics import prometheus

    found = prometheus(folder, configured, config_error, time.time())
    print(found.text, end="")
    return found.exit_code


def _watch(folder: Path, configured: Folders | None, config_error: str | None) -> int:
    from lalald.commands.output.lines import Line
    from lalald.commands.output.printing import output_width
    from lalald.commands.output.status_screen import lines
    from lalald.commands.output.terminal import watch

    def get_lines() -> list[Line]:
        return list(lines(gather(folder, configured, config_error, time.time()), output_width()))

    watch(get_lines, _EVERY_SECONDS)
    return 0


def _folders(explicit: str | None) -> tuple[Folders | None, str | None]:
    """The configured folders, or None and the first error of the configuration: the rest of `status` works without it."""
    from lalald.config import find, subprocess_loader

    try:
        config = subprocess_loader.load(find(explicit, os.environ), os.environ, quiet=True)
    except (ConfigError, FileError) as error:
        return None, str(error).splitlines()[0]
    outboxes = dict.fromkeys(str(inbox.outbox) for inbox in config.inboxes)
    filing = dict.fromkeys(str(folder) for inbox in config.inboxes for folder in inbox.archive_folders)
    return Folders([str(inbox.path) for inbox in config.inboxes], list(outboxes), list(filing)), None
