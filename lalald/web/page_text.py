"""Facts that the page shows as names and values, and what it says of a file; commands and paths stand between backquotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lalald.config import Config, Inbox, Rule
from lalald.config.quantities import format_duration, format_size
from lalald.control.page_settings import PageSettings
from lalald.filesystem.names import printable
from lalald.jobs.job import Job
from lalald.jobs.spending.prices import cost_text
from lalald.reports.formatting import count
from lalald.reports.hold_advice import WHY
from lalald.web.labels import task_title, track_title

Facts = list[tuple[str, str]]
_AFTERWARDS = {"keep": "kept where it is", "delete": "deleted"}
_IN_USE = "A file of this name is in the inbox. Rename yours, or choose another folder."


def job_facts(job: Job, inbox: Inbox | None) -> Facts:
    """`inbox`: as it is configured now; None if it no longer is."""
    rule = next((rule for rule in inbox.rules if rule.name == job.rule), None) if inbox else None
    return [
        ("Job", str(job.id)),
        ("Rule", f"{printable(job.rule or 'none')}{f', for {files_of(rule)}' if rule else ''}"),
        ("Length", "not known yet" if job.duration is None else format_duration(round(job.duration))),
        ("Size", format_size(job.size)),
        ("Charged", f"{cost_text(job.minutes)} min" if job.minutes else "nothing"),
        *([("Source id", _code(job.source_id))] if job.source_id else []),
    ]


def inbox_facts(inbox: Inbox) -> Facts:
    ignored = " ".join(_code(pattern) for pattern in inbox.ignore)
    settle = format_duration(inbox.settle)
    return [
        ("Results go to", _code(str(inbox.outbox))),
        ("A file is finished", f"when no program writes to it and it has not changed for {settle}"),
        ("Then the source is", _AFTERWARDS.get(inbox.on_success, f"moved to {_code(str(inbox.done_dir))}")),
        *([("Ignored", ignored)] if ignored else []),
    ]


def rule_lines(rule: Rule) -> list[str]:
    """Which files it takes, what is made of them, and where that goes."""
    tasks = "; ".join(task_title(task.name, task.mode, task.presets) for task in rule.tasks)
    tracks = ", ".join(rule.labels.get(track, track_title(track)) for track in rule.tracks or ())
    return [
        files_of(rule),
        f"{tasks}; only {tracks}" if tracks else tasks,
        f"to {_code(rule.output)}",
    ]


def files_of(rule: Rule) -> str:
    everything = "every file" if rule.types == "any" else "every audio or video file"
    return " ".join(_code(pattern) for pattern in rule.match) or everything


def limits(settings: PageSettings) -> Facts:
    config: Config = settings.config
    minutes = config.minutes
    return [
        ("Kept in reserve", _limit(minutes.reserve)),
        ("At most a file", _limit(minutes.per_file)),
        ("At most a day", _limit(minutes.per_day)),
        ("License key", "set" if settings.license_key_is_set else "not set"),
        ("Notifications", ", ".join(settings.notify_names) or "none"),
        ("Configuration", _code(str(config.path))),
    ]


def question(action: str, jobs: int, minutes: float, unknown: int, refused: Sequence[str]) -> dict[str, Any]:
    """What is asked before jobs of this price are resumed. `label`: of the button that says yes. `refused`: why others are left out."""
    many = count(jobs, "job")
    title = f"Process {many} again" if action == "redo" else f"{action.capitalize()} {many}"
    label = title if jobs != 1 else "Process again" if action == "redo" else action.capitalize()
    cost = f"{cost_text(minutes)} min" if minutes else ""
    lengths = f"{count(unknown, 'file')} of unknown length" if unknown else ""
    charge = " and ".join(filter(None, (cost, lengths)))
    notes = [f"Up to {charge} will be charged." if charge else "Nothing more will be charged."]
    if unknown:
        notes.append(
            "An unknown length is found by the upload, which costs nothing; the service's figure then decides."
        )
    if refused:
        notes.append(f"{count(len(refused), 'job')} cannot be included: {refused[0]}")
    return {"title": title, "label": f"{label} for {cost}" if cost else label, "notes": notes}


def explained(facts: dict[str, Any]) -> dict[str, Any]:
    """`summary`: rule, length and price. `says`: what a person should know before the file is sent, and how bad that is."""
    return {
        **facts,
        "summary": " · ".join(_summary(facts)) if facts["taken"] else None,
        "says": [{"tone": tone, "text": text} for tone, text in _says(facts)],
    }


def _summary(facts: dict[str, Any]) -> Iterator[str]:
    if facts["rule"]:
        yield f"Rule {printable(facts['rule'])}"
    if facts["duration"] is not None:
        yield format_duration(round(facts["duration"]))
    if facts["minutes"] is None:
        yield "price known once it is uploaded, which costs nothing"
    else:
        yield f"{cost_text(facts['minutes'])} min" if facts["minutes"] else "nothing will be charged"


def _says(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not facts["taken"]:
        yield "bad", f"It would not be processed: {facts['reason']}."
        return
    if facts["exists"]:
        yield "bad", _IN_USE
    if (hold := facts["expected_hold"]) is not None:
        reason = facts["expected_hold_reason"]
        yield "held", f"It will be held: {WHY.get(hold, hold)}{f' ({reason})' if reason else ''}."
    yield from (("hint", f"{remark[:1].upper()}{remark[1:]}.") for remark in facts["remarks"])


def _limit(minutes: float | None) -> str:
    return "no limit" if minutes is None else f"{cost_text(minutes)} min"


def _code(text: str) -> str:
    return "`" + printable(text).replace("`", "'") + "`"
