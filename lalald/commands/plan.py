"""Price everything that waits in the inboxes. Spends nothing, changes nothing."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import suppress

from lalald.commands.output.json_output import show_json
from lalald.commands.output.lines import Cell
from lalald.commands.output.printing import show_sections
from lalald.commands.output.tables import Section, number_cell, path_cell
from lalald.commands.prerequisites.daemon_user import become_daemon_user
from lalald.config import Config
from lalald.errors import LalaldError, NoStoreError
from lalald.inbox.readiness import ignore_broken_leases
from lalald.jobs.spending.prices import cost_text, free_text
from lalald.reports.files.plan_json import plan_facts
from lalald.reports.formatting import count, price, printable
from lalald.reports.pricing import Plan, price_everything
from lalald.store.queries import Reports


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    from lalald.config import find, load

    config = load(find(arguments.config, os.environ), os.environ)
    left, trouble = _minutes_left(config)  # before changing to the daemon's user, who may not be able to read the key
    with suppress(NoStoreError), Reports.open(config.state_dir) as reports:
        become_daemon_user(config.state_dir, reports)
    ignore_broken_leases()
    plan = price_everything(config, _show_progress if sys.stderr.isatty() else None)
    if arguments.json:
        show_json(plan_facts(plan, left, trouble))
    else:
        show_sections(_sections(plan, config, left, trouble))
    return 0


def _show_progress(files: int) -> None:
    end = "\r" if files else "\r\033[K"
    print(f"{count(files, 'file')} examined" if files else "", end=end, file=sys.stderr, flush=True)


def _minutes_left(config: Config) -> tuple[float | None, str | None]:
    """The minutes that the service reports, or its error."""
    from lalald.commands.prerequisites.api_query import ask

    try:
        return ask(config, lambda client: client.minutes_left()), None
    except LalaldError as error:
        return None, str(error)


def _sections(plan: Plan, config: Config, left: float | None, trouble: str | None) -> Iterator[Section]:
    if not plan.lines:
        yield Section(_nothing_waits(plan, config))
    else:
        rows = [
            (
                printable(rule),
                path_cell(printable(inbox)),
                number_cell(f"{line.new:,}"),
                number_cell(f"{line.waiting:,}"),
                number_cell(f"{line.held:,}"),
                number_cell(cost_text(line.minutes)),
                number_cell(f"{line.unknown:,}" if line.unknown else "-"),
            )
            for (inbox, rule), line in plan.lines.items()
        ]
        yield Section("", rows, ("RULE", "INBOX", "NEW", "WAITING", "HELD", "MINUTES", "UNKNOWN"))
    yield Section("total" if plan.files else "minutes", list(_totals(plan, config, left, trouble)))
    if plan.first_scan_holds:
        holds = [(printable(inbox), reason) for inbox, reason in plan.first_scan_holds.items()]
        yield Section("new files that the first scan will hold", holds)
    if plan.left_alone:
        reasons = [(f"{files:,}", printable(reason)) for reason, files in plan.left_alone.most_common()]
        yield Section("not processed", reasons)
    if plan.troubles:
        yield Section("not examined", [(printable(trouble),) for trouble in plan.troubles])


def _nothing_waits(plan: Plan, config: Config) -> str:
    """The message if there is nothing to price."""
    if plan.troubles:
        return "Nothing waits to be processed in the inboxes that could be read."
    inboxes = ", ".join(printable(str(inbox.path)) for inbox in config.inboxes)
    return f"Nothing waits to be processed. Put audio or video files into {inboxes}, then run `lalald plan` again."


def _limits(plan: Plan, per_day: float | None) -> Iterator[tuple[str | Cell, ...]]:
    if plan.over_per_file:
        number = count(plan.over_per_file, "file")
        yield (
            "",
            f"{number} above minutes.per_file ({plan.per_file:g} min): each is held until `lalald release ID`",
        )
    if per_day is not None and plan.files:
        free = max(0.0, per_day - plan.spent_today)
        yield (
            "today",
            f"{free_text(free)} min: minutes.per_day allows {per_day:g}, {cost_text(plan.spent_today)} were charged",
        )


def _totals(plan: Plan, config: Config, left: float | None, trouble: str | None) -> Iterator[tuple[str | Cell, ...]]:
    if plan.files:
        yield "files", f"{plan.files:,}"
        yield "cost", price(plan.minutes, plan.unknown)
    if plan.unknown:
        yield "", "an unknown length is measured after the upload, which costs nothing"
    if plan.unfinished:
        what = (
            "is still being written or changed just now"
            if plan.unfinished == 1
            else "are still being written or changed just now"
        )
        yield "", f"{count(plan.unfinished, 'new file')} {what}: the price may rise"
    yield from _limits(plan, config.minutes.per_day)
    if left is None:
        yield "left", f"unknown: {printable(trouble or '')}"
        return
    yield (
        "left",
        f"{free_text(left)} min"
        + (f", {config.minutes.reserve:g} of them in reserve" if config.minutes.reserve else ""),
    )
    missing = plan.minutes - (left - config.minutes.reserve)
    if missing > 0:
        least = "at least " if plan.unknown else ""
        yield "", f"{least}{cost_text(missing)} min missing: the oldest files are processed first, the others are held"
