"""What `status` shows: one read of the store, one request to the daemon, and what of it needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lalald.control import socket_client
from lalald.jobs.states import Hold
from lalald.reports import folder_rows, needs_attention
from lalald.reports.minutes_account import Minutes, minutes_account
from lalald.reports.needs_attention import REJECTED_FACT, Attention
from lalald.store.events.event_queue import EventQueue, Reader
from lalald.store.queries import STOPPED_STEPS, Reports
from lalald.store.report_types import Counts, Fact, FolderReport, HoldReport, InboxReport, JobReport
from lalald.store.rows import UnreadableJob
from lalald.store.tables.job_places import dropped_paths
from lalald.store.tables.set_aside_files import SetAsideFile
from lalald.store.tables.skipped_files import SkippedFiles, skipped_files

_MOST_UNDER_WAY = 20
_MOST_FINISHED = 3
_MOST_FAILURES = 5
_MOST_INCOMPLETE = 5
_PING_SECONDS = 3.0
SERVICE_DOWN_SECONDS = 900.0  # a shorter outage usually ends without a person


class Folders(NamedTuple):
    """The configuration's inboxes, outboxes, and done and failed folders outside the inboxes, in order."""

    inboxes: list[str]
    outboxes: list[str]
    archive_folders: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `status` shows, as of `now`."""

    now: float
    state_dir: Path
    running: bool
    config_error: str | None
    daemon: Fact | None
    service: Fact | None
    stopped: Sequence[dict[str, Any]]
    set_aside: Sequence[SetAsideFile]
    unreadable: Sequence[UnreadableJob]
    inboxes: Sequence[InboxReport]
    outboxes: Sequence[FolderReport]
    archive_folders: Sequence[FolderReport]
    counts: Counts
    under_way: Sequence[JobReport]
    holds: Sequence[HoldReport]
    failures: Sequence[JobReport]
    incomplete: Sequence[JobReport]
    finished: Sequence[JobReport]
    waiting_minutes: float  # that the waiting jobs will be charged, as far as their durations are known
    waiting_unknown: int  # waiting jobs of unknown duration
    minutes: Minutes
    asked: int
    license: Fact | None = None
    rejected: Fact | None = None
    reported: Sequence[Attention] = ()  # by the daemon just now
    notify: Sequence[Reader] = ()
    skipped: Sequence[SkippedFiles] = ()
    dropped_as: Mapping[int, str] = field(default_factory=dict)  # the earlier jobs whose results finished ones got

    @property
    def exit_code(self) -> int:
        if not self.running:
            return 3
        return 1 if self.needs_attention else 0

    @property
    def needs_attention(self) -> list[Attention]:
        """The reasons for exit code 1, most urgent first, each once. What the daemon just said precedes what it saved."""
        items = [*self.reported, *_saved_items(self)]
        if not self.running:
            items.insert(0, needs_attention.daemon_not_running())
        return list({(item.code, item.subject): item for item in reversed(items)}.values())[::-1]


def gather(
    state_dir: Path,
    configured: Folders | None,
    config_error: str | None,
    now: float,
    said: socket_client.Report | None = None,
) -> Overview:
    """Asks the store and the daemon. `configured`: the folders of the configuration, None where it cannot be read.
    `said`: what the daemon has said just now; else it is asked.

    Raises StoreError where the state folder cannot be read.
    """
    said = said or socket_client.report(state_dir, _PING_SECONDS)
    reported = [Attention(*item) for item in said.items]
    with Reports.open(state_dir) as reports:
        seen = reports.folders()
        waiting_minutes, waiting_unknown = reports.waiting_price()
        inboxes = folder_rows.inboxes(reports.inboxes(), configured and configured.inboxes, reported)
        finished = reports.finished(_MOST_FINISHED)
        earlier = {one.job.duplicate_of for one in finished if one.job.duplicate_of is not None}
        return Overview(
            now=now,
            state_dir=state_dir,
            running=said.is_running,
            config_error=config_error,
            daemon=reports.fact("daemon"),
            service=reports.fact("service"),
            stopped=_stopped(reports),
            set_aside=[file for inbox in inboxes for file in reports.set_aside_files().of(inbox.path)],
            unreadable=reports.unreadable_jobs().all(),
            inboxes=inboxes,
            outboxes=folder_rows.folders(seen, configured and configured.outboxes, reported),
            archive_folders=folder_rows.folders(seen, configured.archive_folders if configured else [], reported),
            counts=reports.counts(),
            under_way=reports.under_way(_MOST_UNDER_WAY),
            holds=reports.holds(),
            failures=reports.failures(_MOST_FAILURES),
            incomplete=reports.incomplete(_MOST_INCOMPLETE),
            finished=finished,
            waiting_minutes=waiting_minutes,
            waiting_unknown=waiting_unknown,
            minutes=minutes_account(reports, now),
            asked=reports.asked(),
            license=reports.fact("license"),
            rejected=reports.fact(REJECTED_FACT),
            reported=reported,
            notify=EventQueue(reports.connection).readers(),
            skipped=skipped_files(reports.connection, [inbox.path for inbox in inboxes]),
            dropped_as=dropped_paths(reports.connection, earlier),
        )


def _stopped(reports: Reports) -> list[dict[str, Any]]:
    fact = reports.fact(STOPPED_STEPS)
    return list(fact.value) if fact else []


def _saved_items(overview: Overview) -> Iterator[Attention]:
    """What the state folder and the configuration say."""
    license_trouble = overview.license.value if overview.license else None
    if license_trouble:
        yield needs_attention.license_problem(
            license_trouble["code"], license_trouble["reason"], license_trouble["hint"]
        )
    if overview.rejected is not None and overview.running:
        yield needs_attention.config_rejected(overview.rejected.value["errors"])
    elif overview.config_error is not None:
        yield needs_attention.config_error(overview.config_error)
    yield from _unavailable_folders(overview)
    yield from map(needs_attention.step_stopped, overview.stopped)
    if overview.set_aside:
        yield needs_attention.files_set_aside(overview.set_aside)
    if overview.unreadable:
        yield needs_attention.jobs_unreadable(overview.unreadable)
    if overview.service is not None and _is_down(overview.service, overview.now):
        yield needs_attention.service_down(overview.service)
    for reader in overview.notify:
        if item := needs_attention.notify_entry(reader, overview.now):
            yield item
    if failed := overview.counts.states["failed"]:
        latest = overview.failures[0].job if overview.failures else None
        yield needs_attention.jobs_failed(failed, latest, overview.now)
    is_license_explained = bool(license_trouble) or any(item.code.startswith("license_") for item in overview.reported)
    for hold in overview.holds:
        if hold.hold != Hold.LICENSE or not is_license_explained:
            yield needs_attention.jobs_held(hold)


def _unavailable_folders(overview: Overview) -> Iterator[Attention]:
    kinds = (("inbox", overview.inboxes), ("outbox", overview.outboxes), ("folder", overview.archive_folders))
    for kind, folders in kinds:
        for folder in folders:
            if folder.available is False:
                yield needs_attention.folder_unavailable(kind, folder.path, folder.reason or "")


def _is_down(service: Fact, now: float) -> bool:
    since = service.value.get("since") if service.value.get("trouble") else None
    return since is not None and now - since >= SERVICE_DOWN_SECONDS
