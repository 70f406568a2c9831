"""Price everything that waits in the inboxes: unpaid jobs, and files that have no job yet."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lalald.config import Config, Inbox
from lalald.errors import NoStoreError
from lalald.inbox.explanation import EXISTING_SKIP, explain, folder_refusal, with_former_folders
from lalald.inbox.new_files import tasks
from lalald.inbox.scanning.walk import Walk, join
from lalald.inbox.selection.excluded_names import OWN_PREFIX
from lalald.inbox.writing_state import leases_reliable, writing_state
from lalald.jobs.job import Job
from lalald.jobs.spending.consent import has_waived, price_of, tasks_to_pay
from lalald.jobs.spending.spend_limits import exceeds, midnight
from lalald.jobs.states import HoldSource, State
from lalald.media.durations import local_duration
from lalald.reports.files.first_scan_forecast import why_held_at_first_scan
from lalald.reports.job_json import source
from lalald.store.file_types import KnownFile
from lalald.store.known_files import KnownFiles
from lalald.store.queries import Reports

_TICK_SECONDS = 0.2


@dataclass(slots=True)
class Line:
    """What one rule of one inbox will cost. `unknown`: files of unknown duration, which `minutes` does not include."""

    new: int = 0
    waiting: int = 0
    held: int = 0
    minutes: float = 0.0
    unknown: int = 0
    unfinished: int = 0  # new files that a program is writing to, or that just changed


@dataclass(slots=True)
class Plan:
    """Lines by inbox and rule, in the configuration's order; the number of files that are not processed, by reason."""

    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    left_alone: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    first_scan_holds: dict[str, str] = field(default_factory=dict)  # why an inbox's first scan will hold its new files
    per_file: float | None = None  # the limit; then how many unreleased files cost more
    over_per_file: int = 0
    spent_today: float = 0.0

    def line(self, inbox: str, rule: str) -> Line:
        return self.lines.setdefault((inbox, rule), Line())

    def add(self, line: Line, cost: float | None, *, waived: bool = False) -> None:
        """Add a file to a line; `waived`: the limit per file does not apply."""
        line.minutes += cost or 0.0
        line.unknown += cost is None
        limited = cost is not None and self.per_file is not None and not waived
        self.over_per_file += limited and exceeds(cost or 0.0, self.per_file or 0.0)

    @property
    def files(self) -> int:
        return sum(line.new + line.waiting + line.held for line in self.lines.values())

    @property
    def minutes(self) -> float:
        return sum(line.minutes for line in self.lines.values())

    @property
    def unfinished(self) -> int:
        return sum(line.unfinished for line in self.lines.values())

    @property
    def unknown(self) -> int:
        return sum(line.unknown for line in self.lines.values())


def price_everything(config: Config, tick: Callable[[int], None] | None = None) -> Plan:
    """Price every inbox and the store. `tick` gets the number of examined files now and then, and 0 at the end."""
    plan = Plan(per_file=config.minutes.per_file)
    for inbox in config.inboxes:
        for rule in inbox.rules:
            plan.line(str(inbox.path), rule.name)
    counter = _Ticker(tick)
    try:
        with Reports.open(config.state_dir) as reports:
            plan.spent_today = reports.spent_since(midnight(time.time()))
            _add_jobs(plan, reports, counter)
            for inbox in config.inboxes:
                known_files = reports.known_files()
                _add_files(plan, with_former_folders(inbox, known_files.target_folders()), known_files, counter)
                _add_first_scan(plan, inbox, reports)
    except NoStoreError:
        for inbox in config.inboxes:
            _add_files(plan, inbox, None, counter)
            _add_first_scan(plan, inbox, None)
    counter.end()
    plan.lines = {key: line for key, line in plan.lines.items() if line.new or line.waiting or line.held}
    return plan


def _add_jobs(plan: Plan, reports: Reports, counter: _Ticker) -> None:
    for report in reports.unpaid():
        counter.one()
        job = report.job
        unpaid = list(tasks_to_pay(job))
        if not unpaid:
            continue
        line = plan.line(job.inbox, job.rule)
        line.held += job.state is State.HELD
        line.waiting += job.state is not State.HELD
        plan.add(line, price_of(unpaid, duration_of(job)), waived=has_waived(job, HoldSource.PER_FILE))


def _add_files(plan: Plan, inbox: Inbox, known_files: KnownFiles | None, counter: _Ticker) -> None:
    root = str(inbox.path)
    leases, now = leases_reliable(inbox), time.time()
    skipped = inbox.existing == "skip" and (known_files is None or not known_files.folders.inbox_seen(root))
    for path, known in _unknown_files(plan, inbox, known_files):
        counter.one()
        explanation = explain(inbox, path, known)
        if not explanation.is_processed or explanation.rule is None:
            plan.left_alone[explanation.reason] += 1
        elif skipped:
            plan.left_alone[EXISTING_SKIP] += 1
        else:
            line = plan.line(root, explanation.rule.name)
            line.new += 1
            full_path = os.path.join(root, path)
            writing = writing_state(inbox, full_path, now, leases=leases)
            line.unfinished += writing is not None and not writing.is_finished
            plan.add(line, price_of(tasks(explanation.rule), local_duration(full_path)))


def _add_first_scan(plan: Plan, inbox: Inbox, reports: Reports | None) -> None:
    root = str(inbox.path)
    new = sum(line.new for (path, _), line in plan.lines.items() if path == root)
    if new and (reason := why_held_at_first_scan(inbox, reports, lambda most: new > most)):
        plan.first_scan_holds[root] = reason


def _unknown_files(plan: Plan, inbox: Inbox, known_files: KnownFiles | None) -> Iterator[tuple[str, KnownFile | None]]:
    """Files in the inbox without a job: unknown, with new content, or skipped before."""
    root = str(inbox.path)
    walk = Walk(root, skipped=lambda folder: folder_refusal(inbox, folder) is not None, recursive=inbox.recursive)
    folder, known = None, dict[str, KnownFile]()
    while listings := walk.take():
        for listing in listings:
            if listing.folder != folder:
                folder, known = listing.folder, known_files.known_in(root, listing.folder) if known_files else {}
            for name, size, mtime_ns, *_ in listing.files:
                old = known.get(name)
                if name.startswith(OWN_PREFIX):
                    continue
                if old is None or old.job_id is None or (old.size, old.mtime_ns) != (size, mtime_ns):
                    yield join(listing.folder, name), old
    for folder, error in walk.unreadable:
        plan.troubles.append(f"{join(root, folder) if folder else root}: {error.strerror}")


class _Ticker:
    def __init__(self, tick: Callable[[int], None] | None) -> None:
        self._tick = tick
        self._files = 0
        self._reported_at = time.monotonic()

    def one(self) -> None:
        self._files += 1
        if self._tick is not None and time.monotonic() - self._reported_at > _TICK_SECONDS:
            self._reported_at = time.monotonic()
            self._tick(self._files)

    def end(self) -> None:
        if self._tick is not None:
            self._tick(0)


def duration_of(job: Job) -> float | None:
    """Seconds, from the store or else from the file itself; None if unknown."""
    from lalald.media.durations import local_duration

    return job.duration if job.duration is not None else local_duration(source(job))
