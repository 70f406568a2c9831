"""What `status` tells: gathered in one read of the store and one ping, then shown as text or as facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lalald import control
from lalald.attention import REJECTED_FACT, Attention
from lalald.commands import folder_rows, needs_attention
from lalald.commands.layout import Bar, Cell, Section
from lalald.commands.minutes_account import Minutes, minutes_account
from lalald.commands.remedies import TO_DO
from lalald.commands.wording import ago, count, iso, moment, price, shown, trouble_told
from lalald.job_warnings import warning_of
from lalald.jobs import Stage
from lalald.store.reports import STOPPED_STEPS, Counts, Fact, FolderReport, HoldReport, InboxReport, JobReport, Reports
from lalald.store.set_aside_files import SetAsideFile

_MOST_UNDER_WAY = 20
_MOST_FAILURES = 5
_MOST_INCOMPLETE = 5
_PING_SECONDS = 3.0


class Folders(NamedTuple):
    """The inboxes and the outboxes of the configuration, and the done and failed folders elsewhere, each in its order."""

    inboxes: list[str]
    outboxes: list[str]
    filing_folders: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `status` tells, as of `now`."""

    now: float
    state_dir: Path
    running: bool
    mistake: str | None
    daemon: Fact | None
    service: Fact | None
    stopped: Sequence[dict[str, Any]]
    set_aside: Sequence[SetAsideFile]
    inboxes: Sequence[InboxReport]
    outboxes: Sequence[FolderReport]
    filing_folders: Sequence[FolderReport]
    counts: Counts
    under_way: Sequence[JobReport]
    holds: Sequence[HoldReport]
    failures: Sequence[JobReport]
    incomplete: Sequence[JobReport]
    minutes: Minutes
    asked: int
    license: Fact | None = None
    rejected: Fact | None = None
    told: Sequence[Attention] = ()  # by the daemon just now

    @property
    def exit_code(self) -> int:
        if not self.running:
            return 3
        return 1 if self.needs_attention else 0

    @property
    def needs_attention(self) -> list[Attention]:
        return needs_attention.found(self)

    def facts(self) -> dict[str, Any]:
        """For --json. Moments are ISO 8601 in UTC."""
        daemon: dict[str, Any] = self.daemon.value if self.daemon else {}
        service: dict[str, Any] = self.service.value if self.service else {}
        trouble = service.get("trouble")
        return {
            "daemon": {
                "running": self.running,
                "state_dir": str(self.state_dir),
                **{name: daemon.get(name) for name in ("pid", "version", "config")},
                "started_at": iso(daemon.get("started_at")),
            },
            "needs_attention": [item._asdict() for item in self.needs_attention],
            "license": needs_attention.license_facts(self.license),
            "config_error": self.mistake,
            "config_rejected": needs_attention.rejected_facts(self.rejected),
            "service": {"trouble": trouble, "since": iso(service.get("since")) if trouble else None},
            "set_aside": [{**file._asdict(), "since": iso(file.since)} for file in self.set_aside],
            "stopped_steps": [{**stop, "since": iso(stop["since"])} for stop in self.stopped],
            "inboxes": [folder_rows.inbox_facts(inbox, running=self.running) for inbox in self.inboxes],
            "outboxes": [folder_rows.facts(outbox) for outbox in self.outboxes],
            "filing_folders": [folder_rows.facts(folder) for folder in self.filing_folders],
            "jobs": self.counts.states,
            "stages": {str(stage): self.counts.stages.get(stage, 0) for stage in Stage if stage is not Stage.DONE},
            "requests": self.asked,
            "under_way": [_job_facts(report) for report in self.under_way],
            "holds": [{**hold._asdict(), "since": iso(hold.since), "to_do": _to_do(hold)} for hold in self.holds],
            "failures": [{**_job_facts(report), "error": report.job.error} for report in self.failures],
            "incomplete": [{**_job_facts(report), "warning": warning_of(report.job)} for report in self.incomplete],
            "minutes": self.minutes.facts(),
        }

    def sections(self) -> Iterator[Section]:
        """For people."""
        yield Section(self._daemon_told(), list(self._troubles()))
        if rows := needs_attention.rows(self.needs_attention):
            yield Section("needs attention", rows)
        if self.inboxes:
            yield Section("inboxes", [folder_rows.inbox_row(inbox, running=self.running) for inbox in self.inboxes])
        for title, folders in (("outboxes", self.outboxes), ("done and failed folders", self.filing_folders)):
            if away := [folder for folder in folders if folder.available is False]:
                yield Section(title, [folder_rows.away_row(folder) for folder in away])
        yield Section("jobs", self._job_rows())
        yield Section("minutes", self.minutes.rows(self.now))
        if self.under_way:
            seen = "" if self.running else " when the daemon was last there"
            yield Section(f"under way{seen}", list(self._under_way_rows()))
        if self.holds:
            yield Section("held", [row for hold in self.holds for row in self._hold_rows(hold)])
        if self.incomplete:
            yield Section("tracks are missing", list(self._incomplete_rows()))
        if self.failures:
            todo = "`lalald show ID` tells more, `lalald retry ID` goes on, `lalald cancel ID` gives it up"
            yield Section(f"failed ({todo})", list(self._failure_rows()))

    def _daemon_told(self) -> str:
        if not self.running:
            return f"lalald is not running, or does not answer (state folder {shown(str(self.state_dir))})"
        if self.daemon is None:
            return "lalald is running"
        facts = self.daemon.value
        return f"lalald {facts['version']} is running: pid {facts['pid']}, since {moment(facts['started_at'])}"

    def _troubles(self) -> Iterator[tuple[Cell, ...]]:
        if self.running and self.daemon is not None:
            yield "configuration", shown(str(self.daemon.value["config"]))
        if not self.running:
            yield "to do", "`lalald run` starts it, or `systemctl start lalald` where systemd does"
        if self.mistake is not None:
            yield "configuration", f"{shown(self.mistake)} (`lalald check-config` tells every mistake)"
        if self.service is not None and self.service.value.get("trouble"):
            yield "service", trouble_told(self.service)

    def _job_rows(self) -> list[tuple[Cell, ...]]:
        stages = [stage for stage in Stage if self.counts.stages.get(stage)]
        rows: list[tuple[Cell, ...]] = [(str(stage), self._stage_told(stage)) for stage in stages]
        states = self.counts.states
        rows += [(state, f"{states[state]:,}") for state in ("held", "failed", "cancelled") if states[state]]
        rows.append(("done", f"{states['done']:,}"))
        if self.asked:
            rows.append(("asked", f"{count(self.asked, 'request')} that the daemon has not honoured yet"))
        return rows

    def _stage_told(self, stage: Stage) -> str:
        running = self.counts.running.get(stage, 0)
        return f"{self.counts.stages[stage]:,}" + (f", {running:,} under way" if running else "")

    def _under_way_rows(self) -> Iterator[tuple[Cell, ...]]:
        for report in self.under_way:
            job = report.job
            yield f"#{job.id}", shown(job.path), str(job.stage), Bar(report.percent or 0.0)
        more = self.counts.states["running"] - len(self.under_way)
        if more > 0:
            yield "…", f"and {count(more, 'more job')}"

    def _hold_rows(self, hold: HoldReport) -> Iterator[tuple[Cell, ...]]:
        since = "" if hold.since is None else f" since {moment(hold.since)}"
        cost = f"; {price(hold.minutes, hold.unknown)} to go on" if hold.minutes or hold.unknown else ""
        yield hold.hold, f"{count(hold.jobs, 'job')}{since}{cost}"
        first = "" if hold.jobs == 1 else "the first, "
        yield "", f"{first}#{hold.job_id}: {shown(hold.reason or 'no reason was given')}"
        yield "", _to_do(hold)

    def _incomplete_rows(self) -> Iterator[tuple[Cell, ...]]:
        for report in self.incomplete:
            yield f"#{report.job.id}", shown(report.job.path), shown(warning_of(report.job) or "")

    def _failure_rows(self) -> Iterator[tuple[Cell, ...]]:
        for report in self.failures:
            job = report.job
            yield f"#{job.id}", shown(job.path), ago(job.updated_at, self.now), shown(job.error or "")
        more = self.counts.states["failed"] - len(self.failures)
        if more > 0:
            yield "…", f"and {count(more, 'older one')}: `lalald jobs --failed`"


def gather(state_dir: Path, configured: Folders | None, mistake: str | None, now: float) -> Overview:
    """Asks the store and the daemon. `configured`: the folders of the configuration, None where it cannot be read.

    Raises StoreError where the state folder cannot be read.
    """
    said = control.report(state_dir, _PING_SECONDS)
    told = [Attention(*item) for item in said.items]
    with Reports.open(state_dir) as reports:
        seen = reports.folders()
        inboxes = folder_rows.inboxes(reports.inboxes(), configured and configured.inboxes, told)
        return Overview(
            now=now,
            state_dir=state_dir,
            running=said.is_running,
            mistake=mistake,
            daemon=reports.fact("daemon"),
            service=reports.fact("service"),
            stopped=_stopped(reports),
            set_aside=[file for inbox in inboxes for file in reports.set_aside_files().of(inbox.path)],
            inboxes=inboxes,
            outboxes=folder_rows.folders(seen, configured and configured.outboxes, told),
            filing_folders=folder_rows.folders(seen, configured.filing_folders if configured else [], told),
            counts=reports.counts(),
            under_way=reports.under_way(_MOST_UNDER_WAY),
            holds=reports.holds(),
            failures=reports.failures(_MOST_FAILURES),
            incomplete=reports.incomplete(_MOST_INCOMPLETE),
            minutes=minutes_account(reports, now),
            asked=reports.asked(),
            license=reports.fact("license"),
            rejected=reports.fact(REJECTED_FACT),
            told=told,
        )


def _stopped(reports: Reports) -> list[dict[str, Any]]:
    fact = reports.fact(STOPPED_STEPS)
    return list(fact.value) if fact else []


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


def _to_do(hold: HoldReport) -> str:
    if hold.stands_still:
        return "These are paid, and go on by themselves when they move. `lalald cancel ID` gives one up."
    return TO_DO.get(hold.hold, "`lalald show ID` tells more.")
