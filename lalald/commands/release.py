"""Held jobs pass their hold; a configured folder that is another one than it was is accepted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from lalald.commands.asking import fitting, folder_named, job_id, jobs_named, ring, tell_each, to_pay
from lalald.commands.remedies import released
from lalald.commands.state_folder import state_dir
from lalald.commands.wording import count, price, shown
from lalald.errors import UsageError
from lalald.jobs import Hold, Request
from lalald.store.requests import Kind, Requests

_GO_ON_BY_THEMSELVES = "their tasks are paid and stand still, and go on by themselves when they move."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="*", metavar="ID|FOLDER", help="a job's number, or the path of a configured folder"
    )
    parser.add_argument("--all", action="store_true", help="every held job but those held as lost_task")


def run(arguments: Namespace) -> int:
    if bool(arguments.what) == arguments.all:
        raise UsageError(
            "release needs numbers of jobs or paths of configured folders, or --all.",
            hint="`lalald jobs --held` lists them.",
        )
    folder = state_dir(arguments.config)
    if arguments.all:
        return _release_all(folder)
    with Requests.open(folder) as requests:
        with requests.together():
            numbers = [word for word in arguments.what if job_id(word) is not None]
            chosen = fitting(jobs_named(requests, numbers), Request.RELEASE)
            folders = [folder_named(requests, word) for word in arguments.what if job_id(word) is None]
            requests.leave(Request.RELEASE, [report.job.id for report in chosen])
            for accepted in folders:
                requests.ask(Kind.RELEASE_FOLDER, accepted)
        tell_each(chosen, released, to_pay)
    for accepted in folders:
        print(f"{shown(accepted)}: the folder that is there now is accepted")
    ring(folder)
    return 0


def _release_all(folder: Path) -> int:
    with Requests.open(folder) as requests, requests.together():
        holds = [hold for hold in requests.holds() if hold.hold != Hold.LOST_TASK]
        left = [hold for hold in requests.holds() if hold.hold == Hold.LOST_TASK]
        passing = requests.leave_all(Request.RELEASE, but=[Hold.LOST_TASK])
    if passing:
        cost = price(sum(hold.minutes for hold in holds), sum(hold.unknown for hold in holds))
        print(f"{count(passing, 'job')} to pass their hold; {cost} will be charged")
    for hold in left:
        why = _GO_ON_BY_THEMSELVES if hold.stands_still else "releasing them pays again. Name them to do that."
        print(f"{count(hold.jobs, 'job')} held as lost_task left alone: {why}")
    if not passing:
        print("No other job is held: nothing to do." if left else "No job is held: nothing to do.")
        return 0
    ring(folder)
    return 0
