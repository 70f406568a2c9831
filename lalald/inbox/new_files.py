"""The store's row of a finished file, made from the file, its inbox and its rule."""

from __future__ import annotations

from lalald.config import Inbox, Rule
from lalald.inbox.readiness import FinishedFile
from lalald.jobs.job import JobSettings
from lalald.jobs.states import Hold
from lalald.jobs.task import Task
from lalald.store import NewFile, SkipReason


def job_settings(inbox: Inbox, rule: Rule) -> JobSettings:
    """The settings that a job keeps, whatever the configuration says later."""
    return JobSettings(
        outbox=str(inbox.outbox),
        output=rule.output,
        on_conflict=rule.on_conflict,
        duplicates=rule.duplicates,
        tracks=rule.tracks,
        labels=dict(rule.labels),
        delete=rule.delete,
        manifest=rule.manifest,
        on_success=inbox.on_success,
        done_dir=str(inbox.done_dir),
        on_failure=inbox.on_failure,
        failed_dir=str(inbox.failed_dir),
        tags=rule.tags,
        tag_title=rule.tag_title,
    )


def tasks(rule: Rule) -> tuple[Task, ...]:
    """The rule's tasks, numbered from 1."""
    return tuple(
        Task(number=number, name=spec.name, mode=spec.mode, presets=dict(spec.presets))
        for number, spec in enumerate(rule.tasks, start=1)
    )


def processed(
    inbox: Inbox,
    file: FinishedFile,
    rule: Rule,
    *,
    hold: Hold | None = None,
    hold_reason: str | None = None,
    duration: float | None = None,
) -> NewFile:
    """A file that becomes a job. `duration`: seconds, as the file itself states them."""
    return NewFile(
        inbox=str(inbox.path),
        path=file.path,
        size=file.size,
        mtime_ns=file.mtime_ns,
        inode=file.inode,
        rule=rule.name,
        settings=job_settings(inbox, rule),
        tasks=tasks(rule),
        hold=hold,
        hold_reason=hold_reason,
        duration=duration,
    )


def skipped(
    inbox: Inbox, file: FinishedFile, reason: SkipReason, note: str, *, found_at_first_scan: bool = False
) -> NewFile:
    """A file that does not become a job; the note says why in words."""
    return NewFile(
        inbox=str(inbox.path),
        path=file.path,
        size=file.size,
        mtime_ns=file.mtime_ns,
        inode=file.inode,
        rule=None,
        settings=None,
        note=note,
        skip_reason=reason,
        found_at_first_scan=found_at_first_scan,
    )
