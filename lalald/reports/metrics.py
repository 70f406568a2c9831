"""Metrics in Prometheus' text format, for the page's `/metrics` and for node_exporter's textfile collector.

Times that LALAL.AI charges are in seconds, the base unit: a minute of its plans is 60.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lalald.filesystem.names import printable
from lalald.jobs.states import State
from lalald.reports.status_report import Folders, Overview, gather
from lalald.store.job_figures import ChargedSum, JobCount, JobFigures, StageSeconds, TransferSum
from lalald.store.queries import Reports

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DAY_SECONDS = 86400.0
_STATES = (State.WAITING, State.HELD, State.FAILED, State.CANCELLED, State.DONE)


class Sample(NamedTuple):
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. `kind`: `gauge`, or `counter` for what never falls."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        if self.samples:
            yield f"# HELP {self.name} {self.help}"
            yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{self.name}{{{inside}}} {_number(value)}" if inside else f"{self.name} {_number(value)}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What metrics say beyond `status`."""

    jobs: tuple[JobCount, ...]
    charged: tuple[ChargedSum, ...]
    transfers: tuple[TransferSum, ...]
    finished_in_a_day: int
    stage_seconds: tuple[StageSeconds, ...]


class Exposition(NamedTuple):
    """Metrics as text, and the exit code of `status` at the same moment."""

    text: str
    exit_code: int


def prometheus(state_dir: Path, configured: Folders | None, config_error: str | None, now: float) -> Exposition:
    """Every metric of the daemon with this state folder, running or not.

    `configured` and `config_error`: as for `status`. Raises StoreError where the state folder cannot be read.
    """
    overview = gather(state_dir, configured, config_error, now)
    with Reports.open(state_dir) as reports:
        return Exposition(text(metrics(overview, figures(reports, now))), overview.exit_code)


def figures(reports: Reports, now: float) -> Figures:
    found, since = JobFigures(reports.connection), now - _DAY_SECONDS
    return Figures(
        tuple(found.by_rule()),
        tuple(found.charged()),
        tuple(found.transfers()),
        found.finished_since(since),
        tuple(found.stage_seconds(since)),
    )


def text(found: Iterable[Metric]) -> str:
    return "".join(f"{line}\n" for metric in found for line in metric.lines())


def metrics(overview: Overview, found: Figures) -> list[Metric]:
    return [
        *_of_the_daemon(overview),
        *_of_jobs(overview, found),
        *_of_times(overview, found),
        *_of_transfers(found),
        *_of_notify(overview),
    ]


def _of_the_daemon(overview: Overview) -> Iterator[Metric]:
    daemon = overview.daemon.value if overview.daemon else {}
    yield _one("lalald_up", "Whether the daemon answers.", float(overview.running))
    if daemon:
        version = Sample({"version": str(daemon.get("version"))}, 1.0)
        yield Metric("lalald_build_info", "gauge", "The version that was started last.", (version,))
        started = float(daemon.get("started_at") or 0.0)
        yield _one("lalald_start_time_seconds", "When the daemon was started, in seconds since 1970.", started)
    service = overview.service.value if overview.service else {}
    yield _one("lalald_service_up", "Whether LALAL.AI answers as it should.", float(not service.get("trouble")))
    license_trouble = overview.license.value if overview.license else None
    yield _one("lalald_license_accepted", "Whether the license key is there and accepted.", float(not license_trouble))
    codes: dict[str, int] = {}
    for item in overview.needs_attention:
        codes[item.code] = codes.get(item.code, 0) + 1
    needs = tuple(Sample({"code": code}, float(count)) for code, count in sorted(codes.items()))
    yield _one("lalald_needs_attention_items", "How many things need a person.", float(sum(codes.values())))
    yield Metric("lalald_needs_attention", "gauge", "What needs a person, by code, as in `status --json`.", needs)
    yield Metric("lalald_folder_available", "gauge", "Whether a configured folder is there.", tuple(_folders(overview)))


def _folders(overview: Overview) -> Iterator[Sample]:
    kinds = (("inbox", overview.inboxes), ("outbox", overview.outboxes), ("folder", overview.archive_folders))
    for kind, folders in kinds:
        for folder in folders:
            if folder.available is not None:
                yield Sample({"kind": kind, "path": printable(folder.path)}, float(folder.available))


def _of_jobs(overview: Overview, found: Figures) -> Iterator[Metric]:
    counted = {(job.rule, job.state): job.jobs for job in found.jobs}
    rules = sorted({rule for rule, _ in counted})
    by_rule = (
        Sample({"rule": rule, "state": str(state)}, float(counted.get((rule, state), 0)))
        for rule in rules
        for state in _STATES
    )
    yield Metric("lalald_jobs", "gauge", "Jobs by rule and state.", tuple(by_rule))
    stages = (Sample({"stage": stage}, float(count)) for stage, count in sorted(overview.counts.stages.items()))
    yield Metric("lalald_jobs_by_stage", "gauge", "Waiting and running jobs by their next step.", tuple(stages))
    running = (Sample({"stage": stage}, float(count)) for stage, count in sorted(overview.counts.running.items()))
    yield Metric("lalald_jobs_running", "gauge", "Jobs whose next step is under way.", tuple(running))
    holds: dict[str, int] = {}
    for hold in overview.holds:
        holds[hold.hold] = holds.get(hold.hold, 0) + hold.jobs
    held = (Sample({"hold": hold}, float(jobs)) for hold, jobs in sorted(holds.items()))
    yield Metric("lalald_held_jobs", "gauge", "Held jobs by what they wait for.", tuple(held))
    finished_at = max((report.job.finished_at or 0.0 for report in overview.finished), default=0.0)
    if finished_at:
        yield _one("lalald_last_finished_timestamp_seconds", "When a job was done last.", finished_at)


def _of_times(overview: Overview, found: Figures) -> Iterator[Metric]:
    if overview.minutes.left is not None:
        left = overview.minutes.left * 60.0
        yield _one("lalald_paid_time_left_seconds", "What is left of the plan; LALAL.AI counts it in minutes.", left)
    charged = tuple(Sample({"rule": one.rule, "mode": one.mode}, one.minutes * 60.0) for one in found.charged)
    yield Metric("lalald_charged_time_seconds_total", "counter", "Time that was charged, by rule and mode.", charged)
    day = float(found.finished_in_a_day)
    yield _one("lalald_finished_jobs_last_day", "Jobs done within the last 24 hours.", day)
    mean = tuple(Sample({"stage": one.stage}, one.mean) for one in found.stage_seconds)
    longest = tuple(Sample({"stage": one.stage}, one.longest) for one in found.stage_seconds)
    of_the_day = "of jobs done within the last 24 hours, waiting included."
    yield Metric("lalald_stage_seconds_mean", "gauge", f"Mean time in each stage {of_the_day}", mean)
    yield Metric("lalald_stage_seconds_max", "gauge", f"Longest time in each stage {of_the_day}", longest)


def _of_transfers(found: Figures) -> Iterator[Metric]:
    known = {one.stage: one for one in found.transfers}
    moving = [(stage, known.get(stage, TransferSum(stage, 0, 0.0))) for stage in ("upload", "download")]
    jobs = tuple(Sample({"direction": stage}, float(one.jobs)) for stage, one in moving)
    rates = tuple(Sample({"direction": stage}, one.rate) for stage, one in moving)
    yield Metric("lalald_transferring_jobs", "gauge", "Jobs whose files are being transferred.", jobs)
    yield Metric("lalald_transfer_bytes_per_second", "gauge", "Rate of all transfers together.", rates)


def _of_notify(overview: Overview) -> Iterator[Metric]:
    up = tuple(Sample({"entry": reader.name}, float(reader.trouble is None)) for reader in overview.notify)
    yield Metric("lalald_notify_up", "gauge", "Whether an entry of notify works.", up)
    dropped = tuple(Sample({"entry": reader.name}, float(reader.dropped)) for reader in overview.notify)
    yield Metric("lalald_notify_dropped_total", "counter", "Events that were never sent to an entry.", dropped)


def _one(name: str, help_text: str, value: float) -> Metric:
    return Metric(name, "gauge", help_text, (Sample({}, value),))


def _escaped(label: str) -> str:
    readable = printable(label) if not label.isprintable() else label
    return readable.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 3))
