"""Run the daemon."""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lalald.config import Config


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="process what is in the inboxes, then exit")


def run(arguments: Namespace) -> int:
    return carry(arguments, lambda _config: None)


def carry(arguments: Namespace, accept: Callable[[Config], None], *, log_for_people: bool = False) -> int:
    """Run the daemon until it ends. `accept` gets its configuration first, and may raise to refuse it.

    `log_for_people`: see `daemon.run`.
    """
    from lalald.commands.prerequisites.operating_system import require_linux

    require_linux("the daemon")
    from lalald.config import find, subprocess_loader
    from lalald.daemon.log import log_output
    from lalald.daemon.log.journal import write_exception

    log_output.take_over()
    sys.excepthook = write_exception
    # By default SIGHUP ends a process. The configuration is being read now, so a reload requested before the daemon runs is not needed.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reading = subprocess_loader.begin(find(arguments.config, os.environ), os.environ)
    from lalald.daemon import daemon, sandbox_guard  # while the other process reads: both take about as long

    config = reading()
    accept(config)
    return daemon.run(
        config, once=arguments.once, open_store=lambda state_dir: sandbox_guard.open_store(state_dir, config.api_url),
        log_for_people=log_for_people,
    )  # fmt: skip
