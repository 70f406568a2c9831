"""Release held jobs, each for the price shown; accept a folder that replaced a configured one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lalald.commands.output.error_output import exit_code_of
from lalald.commands.output.json_output import error_facts, show_json
from lalald.commands.output.printing import say
from lalald.commands.prerequisites.job_selection import fitting, folder_named, job_id, jobs_named, ring
from lalald.commands.prerequisites.quoting import configuration, show_quotes
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import UsageError
from lalald.jobs.states import Hold, HoldSource, Request, State
from lalald.reports.formatting import charged, count, printable
from lalald.reports.quotes import Price, Quote, by_hold, together
from lalald.reports.release_forecast import forecast
from lalald.store.report_types import HoldReport, JobReport
from lalald.store.request_writer import Kind, Requests

_RESUMES = "their tasks are paid and make no progress; they resume automatically when they do."
_PAYS_AGAIN = "releasing them pays again. To do that, name them or add `--hold lost_task`."
_ONLY_A_TOP_UP = (HoldSource.LEFT, HoldSource.SERVICE)
_LIMITS = {
    HoldSource.PER_FILE: "minutes.per_file",
    HoldSource.PER_DAY: "minutes.per_day",
    HoldSource.LEFT: "minutes left",
    HoldSource.SERVICE: "LALAL.AI refused",
    HoldSource.PRICE: "a higher price",
    HoldSource.UNKNOWN: "length unknown",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="*", metavar="ID|FOLDER", help="a job's number, or the path of a configured folder"
    )
    parser.add_argument("--all", action="store_true", help="every held job except those held as lost_task")
    parser.add_argument(
        "--hold", choices=[str(hold) for hold in Hold], metavar="KIND", help="with --all: only this kind of hold"
    )
    parser.add_argument("--rule", metavar="NAME", help="with --all: only jobs of this rule")
    parser.add_argument("--yes", action="store_true", help="with --all: release more than one kind of hold")
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    if bool(arguments.what) == arguments.all or (arguments.what and (arguments.hold or arguments.rule)):
        raise UsageError(
            "release needs job numbers, paths of configured folders, or --all; --hold and --rule need --all.",
            hint="`lalald jobs --held` lists them.",
        )
    folder = state_dir(arguments.config)
    with Requests.open(folder) as requests:
        return _all(arguments, folder, requests) if arguments.all else _named(arguments, folder, requests)


def _named(arguments: Namespace, folder: Path, requests: Requests) -> int:
    numbers = [word for word in arguments.what if job_id(word) is not None]
    chosen = fitting(jobs_named(requests, numbers), Request.RELEASE)
    folders = [folder_named(requests, word) for word in arguments.what if job_id(word) is None]
    quotes = _quotes(chosen, arguments, requests)
    with requests.together():
        requests.leave_for(Request.RELEASE, {one.job_id: one.terms for one in quotes})
        for accepted in folders:
            requests.ask(Kind.RELEASE_FOLDER, accepted)
    if arguments.json:
        show_json(_facts(quotes, folders=folders))
        return ring(folder, quiet=True)
    show_quotes(quotes)
    for accepted in folders:
        say(f"{printable(accepted)}: accepted the folder that is there now")
    return ring(folder)


def _all(arguments: Namespace, folder: Path, requests: Requests) -> int:
    not_released = [] if arguments.hold else [hold for hold in requests.holds() if hold.hold == Hold.LOST_TASK]
    held = (report for report in requests.jobs(states=[State.HELD]) if _is_chosen(report, arguments))
    quotes = _quotes(held, arguments, requests)
    asked = [one for one in quotes if one.stays_for is None or one.source not in _ONLY_A_TOP_UP]
    unconfirmed = _needs_confirmation(asked, arguments)
    if not unconfirmed:
        with requests.together():
            requests.leave_for(Request.RELEASE, {one.job_id: one.terms for one in asked})
    if arguments.json:
        facts = _facts(
            [] if unconfirmed else asked, [one for one in quotes if one.stays_for], not_released, by_hold(quotes)
        )
        if unconfirmed:
            show_json({**error_facts(_confirmation_error()), **facts})
            return exit_code_of(_confirmation_error())
        show_json(facts)
        return ring(folder, quiet=True) if asked else 0
    _show_all(quotes, asked, not_released, unconfirmed=unconfirmed)
    if unconfirmed:
        raise _confirmation_error()
    return ring(folder) if asked else 0


def _confirmation_error() -> UsageError:
    return UsageError(
        "--all would release more than one kind of hold, or pay for lost tasks again; nothing was released.",
        hint="Add --yes, or choose with --hold KIND.",
    )


def _is_chosen(report: JobReport, arguments: Namespace) -> bool:
    job = report.job
    kind = str(job.hold) == arguments.hold if arguments.hold else job.hold is not Hold.LOST_TASK
    return kind and (arguments.rule is None or job.rule == arguments.rule)


def _needs_confirmation(asked: Sequence[Quote], arguments: Namespace) -> bool:
    kinds = {one.hold for one in asked}
    return not arguments.yes and (len(kinds) > 1 or Hold.LOST_TASK in kinds)


def _quotes(reports: Iterable[JobReport], arguments: Namespace, requests: Requests) -> list[Quote]:
    config = configuration(arguments.config)
    limits = config.minutes if config else None
    return forecast((report.job for report in reports), requests, limits, are_named=not arguments.all)


def _show_all(
    quotes: Sequence[Quote], asked: Sequence[Quote], not_released: Sequence[HoldReport], *, unconfirmed: bool
) -> None:
    holds = by_hold(quotes)
    for kind, (jobs, cost) in holds.items() if len(holds) > 1 or unconfirmed else ():
        say(f"{kind}: {count(jobs, 'job')}, {charged(*cost)}")
    resumed = [one for one in asked if one.stays_for is None]
    if resumed and not unconfirmed:
        say(f"{count(len(resumed), 'job')} released; {charged(*together(resumed))}")
    for source in HoldSource:
        staying = [one for one in quotes if one.stays_for is source]
        if staying:
            first = staying[0]
            say(f"{count(len(staying), 'job')} will stay held ({_LIMITS[source]}): job {first.job_id} {first.stays}")
    for hold in not_released:
        why = _RESUMES if hold.is_stalled else _PAYS_AGAIN
        say(f"{count(hold.jobs, 'job')} held as lost_task not released: {why}")
    if not quotes:
        say("No other job is held." if not_released else "No job is held.")


def _facts(
    released: Sequence[Quote],
    stay_held: Sequence[Quote] = (),
    not_released: Sequence[HoldReport] = (),
    holds: dict[str, tuple[int, Price]] | None = None,
    *,
    folders: Sequence[str] = (),
) -> dict[str, Any]:
    cost = together(released)
    listed = (by_hold(released) if holds is None else holds).items()
    return {
        "released": [one.facts() for one in released],
        "minutes": cost.minutes,
        "unknown": cost.unknown,
        "stay_held": [one.facts() for one in stay_held],
        "lost_tasks_not_released": sum(hold.jobs for hold in not_released),
        "holds": [
            {"hold": kind, "jobs": jobs, "minutes": sum_.minutes, "unknown": sum_.unknown}
            for kind, (jobs, sum_) in listed
        ],
        "folders": list(folders),
    }
