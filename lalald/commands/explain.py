"""Explain what happens to files: by which rule, at what cost, and what holds them."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace

from lalald.commands.output.file_section import section
from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import show_sections
from lalald.commands.prerequisites.daemon_user import become_daemon_user
from lalald.errors import NoStoreError
from lalald.inbox.readiness import ignore_broken_leases
from lalald.reports.files.explainer import Explainer
from lalald.store.queries import Reports


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="files in an inbox, or paths of files that you may put there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: a list of objects")


def run(arguments: Namespace) -> int:
    from lalald.config import find, load

    config = load(find(arguments.config, os.environ), os.environ)
    paths = [os.path.abspath(word) for word in arguments.paths]
    try:
        reports: Reports | None = Reports.open(config.state_dir)
    except NoStoreError:
        reports = None  # nothing is known of any file
    ignore_broken_leases()
    become_daemon_user(config.state_dir, reports)
    try:
        explainer = Explainer(config, reports, time.time)
        found = [explainer.report(path) for path in paths]
    finally:
        if reports is not None:
            reports.close()
    if arguments.json:
        show_json([report.facts() for report in found])
    else:
        show_sections([section(report) for report in found])
    return 0
