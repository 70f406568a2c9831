"""`status` as JSON: `.github/guides/reference.md` lists the keys."""

from __future__ import annotations

from typing import Any

from lalald.jobs.job_results import results_folder
from lalald.jobs.job_warnings import warning_of
from lalald.jobs.states import Stage
from lalald.reports import folder_rows, hold_advice
from lalald.reports.formatting import iso
from lalald.reports.status_report import Overview
from lalald.store.events.event_queue import Reader
from lalald.store.report_types import Fact, JobReport


def facts(overview: Overview) -> dict[str, Any]:
    """Moments are ISO 8601 in UTC, rates bytes per second."""
    daemon: dict[str, Any] = overview.daemon.value if overview.daemon else {}
    service: dict[str, Any] = overview.service.value if overview.service else {}
    trouble = service.get("trouble")
    return {
        "daemon": {
            "running": overview.running,
            "state_dir": str(overview.state_dir),
            **{name: daemon.get(name) for name in ("pid", "version", "config")},
            "started_at": iso(daemon.get("started_at")),
        },
        "needs_attention": [item._asdict() for item in overview.needs_attention],
        "license": _license_facts(overview.license),
        "config_error": overview.config_error,
        "config_rejected": _rejected_facts(overview.rejected),
        "service": {"trouble": trouble, "since": iso(service.get("since")) if trouble else None},
        "set_aside": [{**file._asdict(), "since": iso(file.since)} for file in overview.set_aside],
        "unreadable_jobs": [{"id": job.job_id, "error": job.error} for job in overview.unreadable],
        "stopped_steps": [{**stop, "since": iso(stop["since"])} for stop in overview.stopped],
        "inboxes": [folder_rows.inbox_facts(inbox, running=overview.running) for inbox in overview.inboxes],
        "outboxes": [folder_rows.facts(outbox) for outbox in overview.outboxes],
        "archive_folders": [folder_rows.facts(folder) for folder in overview.archive_folders],
        "jobs": overview.counts.states,
        "stages": {str(stage): overview.counts.stages.get(stage, 0) for stage in Stage if stage is not Stage.DONE},
        "requests": overview.asked,
        "under_way": [_running_facts(report, overview) for report in overview.under_way],
        "waiting": {"minutes": overview.waiting_minutes, "unknown": overview.waiting_unknown},
        "finished": [_finished_facts(report, overview) for report in overview.finished],
        "holds": [
            {**hold._asdict(), "since": iso(hold.since), "to_do": hold_advice.of_hold(hold)} for hold in overview.holds
        ],
        "failures": [{**_job_facts(report), "error": report.job.error} for report in overview.failures],
        "incomplete": [{**_job_facts(report), "warning": warning_of(report.job)} for report in overview.incomplete],
        "minutes": overview.minutes.facts(),
        "notify": [_entry_facts(reader) for reader in overview.notify],
        "skipped": [skipped._asdict() for skipped in overview.skipped],
    }


def _entry_facts(reader: Reader) -> dict[str, Any]:
    """`dropped`: events that were never sent."""
    return {
        "name": reader.name,
        "trouble": reader.trouble,
        "since": iso(reader.failing_since),
        "sent_at": iso(reader.sent_at),
        "dropped": reader.dropped,
        "dropped_at": iso(reader.dropped_at),
        "dropped_reason": reader.dropped_reason,
    }


def _license_facts(fact: Fact | None) -> dict[str, Any]:
    """`trouble` is `missing`, `refused` or null."""
    trouble: dict[str, Any] = (fact.value if fact else None) or {}
    facts = {key: trouble.get(key) for key in ("reason", "hint")}
    return {"trouble": trouble.get("code"), **facts, "since": iso(trouble.get("since"))}


def _rejected_facts(fact: Fact | None) -> dict[str, Any] | None:
    return None if fact is None else {"errors": fact.value["errors"], "at": iso(fact.value["at"])}


def _job_facts(report: JobReport) -> dict[str, Any]:
    job = report.job
    return {
        "id": job.id,
        "inbox": job.inbox,
        "path": job.path,
        "stage": str(job.stage),
        "progress": report.percent,
        "updated_at": iso(job.updated_at),
    }


def _running_facts(report: JobReport, overview: Overview) -> dict[str, Any]:
    """A stopped daemon transfers nothing: rate and time left are null."""
    rate, left = (report.rate, report.seconds_left(overview.now)) if overview.running else (None, None)
    return {**_job_facts(report), "rate": rate, "seconds_left": left}


def _finished_facts(report: JobReport, overview: Overview) -> dict[str, Any]:
    """`same_as`: the earlier file whose results it got, null if there is none, or its row was removed."""
    job = report.job
    known = {key: fact for key, fact in _job_facts(report).items() if key not in ("stage", "progress", "updated_at")}
    return {
        **known,
        "folder": results_folder(job),
        "minutes": job.minutes,
        "finished_at": iso(job.finished_at),
        "same_as": overview.dropped_as.get(job.duplicate_of or 0),
        "warning": warning_of(job),
    }
