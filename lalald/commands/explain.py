"""Why a file is taken or left alone, by which rule, at what cost."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lalald.budget import exceeds
from lalald.commands.asking import duration_of
from lalald.commands.json_output import show_json
from lalald.commands.layout import Cell, Section, show
from lalald.commands.wording import price, shown
from lalald.config import Config, Inbox, Rule
from lalald.consent import price_of, to_pay, to_pay_on_retry
from lalald.errors import NoStoreError
from lalald.inbox.explain import Explanation, explain, folder_refusal, knowing, within
from lalald.inbox.first_look import MOST_TAKEN
from lalald.inbox.found import tasks
from lalald.jobs import State, Task, recipe
from lalald.media.durations import local_duration
from lalald.money import cost_text
from lalald.quantities import format_duration
from lalald.store.reports import JobReport, Reports


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files in an inbox, or that might be put there")
    parser.add_argument("--json", action="store_true", help="as a list of objects")


@dataclass(frozen=True, slots=True)
class Account:
    """What is told of a path. `cost`: minutes still to be charged; None where nobody knows."""

    path: str
    inbox: Inbox | None
    explanation: Explanation
    job: JobReport | None = None
    tasks: tuple[Task, ...] = ()
    duration: float | None = None
    cost: float | None = None
    remarks: tuple[str, ...] = ()

    @property
    def rule(self) -> str | None:
        """A job's own: after a reload another one may take such files."""
        if self.explanation.rule is None:
            return None
        return self.job.job.rule if self.job is not None else self.explanation.rule.name

    def facts(self) -> dict[str, Any]:
        job = self.job
        return {
            "path": self.path,
            "inbox": str(self.inbox.path) if self.inbox else None,
            "taken": self.explanation.taken,
            "reason": self.explanation.reason,
            "rule": self.rule,
            "job": job.job.id if job else None,
            "state": job.state if job else None,
            "duration": self.duration,
            "minutes": self.cost,
            "unknown": int(bool(self.tasks) and self.cost is None),
            "minutes_charged": job.job.minutes if job else 0.0,
            "tasks": [{"name": task.name, "mode": task.mode, "presets": dict(task.presets)} for task in self.tasks],
            "remarks": list(self.remarks),
        }

    def section(self) -> Section:
        return Section(shown(self.path), list(self._rows()))

    def _rows(self) -> Iterator[tuple[Cell, ...]]:
        yield "taken", f"{'yes' if self.explanation.taken else 'no'}: {shown(self.explanation.reason)}"
        if self.inbox is not None:
            yield "inbox", shown(str(self.inbox.path))
        if self.rule is not None:
            yield "rule", shown(self.rule)
        if self.job is not None:
            yield "job", f"{self.job.job.id}, {self.job.state} (`lalald show {self.job.job.id}`)"
            if self.job.job.hold is not None:
                yield "held", f"{self.job.job.hold}: {shown(self.job.job.hold_reason or '-')}"
        for task in self.tasks:
            yield (
                f"task {shown(task.title)}",
                f"{task.mode} {shown(json.dumps(dict(task.presets), ensure_ascii=False))}",
            )
        if self.tasks:
            yield (
                "duration",
                "unknown: the file does not state it" if self.duration is None else format_duration(self.duration),
            )
            yield "cost", self._cost_told()
        for remark in self.remarks:
            yield "note", shown(remark)

    def _cost_told(self) -> str:
        charged = (
            f", {cost_text(self.job.job.minutes)} min are charged already" if self.job and self.job.job.minutes else ""
        )
        unknown = "unknown until it is uploaded: that costs nothing yet"
        cost = unknown if self.cost is None else price(self.cost) if self.cost else "nothing more"
        return cost + charged


def run(arguments: Namespace) -> int:
    from lalald.config import find, load

    config = load(find(arguments.config, os.environ), os.environ)
    try:
        reports: Reports | None = Reports.open(config.state_dir)
    except NoStoreError:
        reports = None  # nothing is known of any file
    try:
        accounts = [account(config, reports, os.path.abspath(word)) for word in arguments.paths]
    finally:
        if reports is not None:
            reports.close()
    if arguments.json:
        show_json([found.facts() for found in accounts])
    else:
        show([found.section() for found in accounts])
    return 0


def account(config: Config, reports: Reports | None, path: str) -> Account:
    """Everything that is to be told of an absolute path."""
    inbox = next((inbox for inbox in config.inboxes if within(inbox, path) is not None), None)
    if inbox is None:
        return _elsewhere(config, reports, path)
    if reports is not None:
        inbox = knowing(inbox, reports.known_files().put_into())
    relative = within(inbox, path) or ""
    if os.path.isdir(path) and not os.path.islink(path):
        return Account(path, inbox, _of_folder(inbox, relative))
    known = reports.known_files().known_at(str(inbox.path), [relative]).get(relative) if reports else None
    explanation = explain(inbox, relative, known)
    job = _job(reports, path, explanation)
    if job is not None:
        return _of_job(path, inbox, explanation, job)
    if explanation.rule is None or not explanation.taken:
        return Account(path, inbox, explanation)
    asked = tasks(explanation.rule)
    duration = local_duration(path)
    cost = price_of(asked, duration)
    remarks = [*_remarks(config, inbox, reports, cost), *_twin_told(path, explanation.rule, asked, reports)]
    return Account(path, inbox, explanation, None, asked, duration, cost, tuple(remarks))


def _twin_told(path: str, rule: Rule, asked: tuple[Task, ...], reports: Reports | None) -> Iterator[str]:
    """Only the bytes tell a copy, and they are not read here."""
    if rule.duplicates != "reuse" or reports is None:
        return
    try:
        twin = reports.done_like(os.lstat(path).st_size, recipe(asked))
    except OSError:  # it went away meanwhile
        return
    if twin is not None:
        yield (
            f"job {twin} carried a file of this size with the same tasks: where the bytes are the same, too, its results are"
            " reused and nothing is charged"
        )


def _job(reports: Reports | None, path: str, explanation: Explanation) -> JobReport | None:
    """The job of the file; of one that is not taken, the job that put it there or took it away."""
    if reports is None:
        return None
    if explanation.job_id is not None:
        return reports.job(explanation.job_id)
    return None if explanation.taken else reports.job_at(path)


def _elsewhere(config: Config, reports: Reports | None, path: str) -> Account:
    explanation = Explanation(path, False, _what_it_is_instead(config, path))
    job = reports.job_at(path) if reports else None
    return Account(path, None, explanation, job)


def _what_it_is_instead(config: Config, path: str) -> str:
    for inbox in config.inboxes:
        if path == str(inbox.path):
            return "it is an inbox; the files in it are looked at one by one"
    for inbox in config.inboxes:
        if f"{path}/".startswith(f"{inbox.outbox}/"):
            return f"it lies in the outbox of {inbox.path}, where results are put and nothing is taken from"
    return f"it lies in no inbox; the inboxes: {', '.join(str(inbox.path) for inbox in config.inboxes)}"


def _of_folder(inbox: Inbox, folder: str) -> Explanation:
    parts = folder.split("/")
    for depth in range(1, len(parts) + 1):
        if reason := folder_refusal(inbox, "/".join(parts[:depth])):
            return Explanation(folder, False, f"nothing in this folder is: {reason}")
    return Explanation(folder, False, "it is a folder; the files in it are looked at one by one")


def _of_job(path: str, inbox: Inbox, explanation: Explanation, report: JobReport) -> Account:
    job = report.job
    duration = duration_of(job)
    owed = to_pay_on_retry(job) if job.state is State.FAILED else to_pay(job)
    owed = [] if job.state in (State.DONE, State.CANCELLED) else owed
    return Account(path, inbox, explanation, report, job.tasks, duration, price_of(owed, duration))


def _remarks(config: Config, inbox: Inbox, reports: Reports | None, cost: float | None) -> Iterator[str]:
    """What may still keep a taken file waiting."""
    per_file = config.minutes.per_file
    if cost is not None and per_file is not None and exceeds(cost, per_file):
        yield f"it will be held: minutes.per_file allows {per_file:g}; `lalald release` lets it past"
    if inbox.existing != "take" and (reports is None or not reports.known_files().inbox_seen(str(inbox.path))):
        yield (
            f"lalald has not looked at this inbox yet: if more than {MOST_TAKEN} files lie there when it does,"
            f" `existing: {inbox.existing}` decides"
        )
