"""What needs a person, gathered from what the daemon says and what the state folder holds: the reasons for exit code 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lalald.jobs.job import Hold
from lalald.reports import hold_advice
from lalald.reports.attention import Attention, of_folder, of_license, of_rejected, of_unreadable_jobs
from lalald.reports.formatting import ago, count, iso, moment, price, printable, trouble_told
from lalald.store.queries import Fact, HoldReport
from lalald.store.set_aside_files import SetAsideFile

if TYPE_CHECKING:
    from lalald.reports.status_report import Overview

SERVICE_DOWN_SECONDS = 900.0  # what is shorter passes without anybody


def found(overview: Overview) -> list[Attention]:
    """Most urgent first, each once: what the daemon says of itself counts before what it wrote down."""
    items = [*_of_the_daemon(overview), *overview.told, *_of_the_store(overview)]
    return list({(item.code, item.subject): item for item in reversed(items)}.values())[::-1]


def license_facts(fact: Fact | None) -> dict[str, Any]:
    """For --json: `trouble` is `missing`, `refused` or null."""
    trouble: dict[str, Any] = (fact.value if fact else None) or {}
    told = {key: trouble.get(key) for key in ("reason", "hint")}
    return {"trouble": trouble.get("code"), **told, "since": iso(trouble.get("since"))}


def rejected_facts(fact: Fact | None) -> dict[str, Any] | None:
    """For --json."""
    return None if fact is None else {"errors": fact.value["errors"], "at": iso(fact.value["at"])}


def _of_the_daemon(overview: Overview) -> Iterator[Attention]:
    if not overview.running:
        message = "lalald is not running, or does not respond."
        yield Attention("daemon_not_running", "", message, "Start it: `lalald run`, or `systemctl start lalald`.")


def _of_the_store(overview: Overview) -> Iterator[Attention]:
    license_trouble = overview.license.value if overview.license else None
    if license_trouble:
        yield of_license(license_trouble["code"], license_trouble["reason"], license_trouble["hint"])
    if overview.rejected is not None and overview.running:
        yield of_rejected(overview.rejected.value["errors"])
    elif overview.mistake is not None:
        hint = "lalald would not start with it; `lalald check-config` lists every error."
        yield Attention("config_error", "", f"The configuration cannot be used: {overview.mistake}", hint)
    yield from _of_folders(overview)
    yield from map(_of_stopped_step, overview.stopped)
    if overview.set_aside:
        yield _of_set_aside(overview.set_aside)
    if overview.unreadable:
        yield of_unreadable_jobs(overview.unreadable)
    service = overview.service
    since = service.value.get("since") if service and service.value.get("trouble") else None
    if service is not None and since is not None and overview.now - since >= SERVICE_DOWN_SECONDS:
        message = f"The service does not answer as it should: {trouble_told(service)}"
        yield Attention("service_down", "", message, "Check the network; jobs wait and resume automatically.")
    if failed := overview.counts.states["failed"]:
        yield _of_failures(failed, overview)
    explained = any(item.code.startswith("license_") for item in overview.told) or bool(license_trouble)
    for hold in overview.holds:
        if hold.hold != Hold.LICENSE or not explained:
            yield _of_hold(hold)


def _of_set_aside(files: Sequence[SetAsideFile]) -> Attention:
    first = files[0]
    message = f"{count(len(files), 'file')} could not be inspected; the first is {first.path}: {first.error}."
    hint = "`lalald rescan` inspects them again, `lalald explain PATH` shows why. Please report it with the traceback in the log."
    return Attention("files_set_aside", "", message, hint)


def _of_stopped_step(stop: dict[str, Any]) -> Attention:
    message = (
        f"Step {stop['step']} is stopped since {moment(stop['since'])}: every job met the same error ({stop['error']})."
    )
    hint = "One job tries it every 5 minutes. Please report this with the traceback in the log."
    return Attention("step_stopped", stop["step"], message, hint)


def _of_folders(overview: Overview) -> Iterator[Attention]:
    for kind, folders in (
        ("inbox", overview.inboxes), ("outbox", overview.outboxes), ("folder", overview.filing_folders),
    ):  # fmt: skip
        for folder in folders:
            if folder.available is False:
                yield of_folder(kind, folder.path, folder.reason or "")


def _of_failures(failed: int, overview: Overview) -> Attention:
    hint = "`lalald jobs --failed` lists them; `lalald retry ID` resumes one, `lalald cancel ID` dismisses it."
    message = f"{count(failed, 'job')} failed"
    if overview.failures:
        latest = overview.failures[0].job
        which = "" if failed == 1 else "; the latest"
        when = ago(latest.updated_at, overview.now)
        message += f"{which} {when}: #{latest.id} {printable(latest.path)}: {latest.error or 'no reason was given'}"
    return Attention("jobs_failed", "", message, hint)


def _of_hold(hold: HoldReport) -> Attention:
    cost = f", {price(hold.minutes, hold.unknown)}" if hold.minutes or hold.unknown else ""
    reason = hold.reason or "no reason was given"
    message = f"{count(hold.jobs, 'job')} held ({hold.hold}{cost}): #{hold.job_id} {reason}"
    code = "hold_stalled_task" if hold.stands_still else f"hold_{hold.hold}"
    return Attention(code, "", message, hold_advice.of_hold(hold))
