"""Apply new settings to what was decided by earlier ones: files that were skipped, and held jobs that are not paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from lalald.config import Config, Inbox, Rule
from lalald.inbox import explanation, new_files
from lalald.inbox.explanation import Choice
from lalald.inbox.readiness import FinishedFile
from lalald.inbox.set_aside import RunsOnStore
from lalald.jobs import task, transitions
from lalald.jobs.job import Job
from lalald.jobs.spending import consent
from lalald.jobs.states import Hold, Stage
from lalald.store import KnownFile, SkipReason, Store

Choose = Callable[[Inbox, str], Choice]

FILES_AT_ONCE = 500
_RELEASED = (Hold.MINUTES, Hold.DUPLICATE)  # by other rules a job may cost less, or make something else


class Portion(NamedTuple):
    """Of some skipped files: how many are decided again, how many of these are old, and after which path the next ones begin."""

    decided: int
    old: int
    last: str | None


class HeldPortion(NamedTuple):
    """Of some held jobs: how many were changed, and after which id the next ones begin."""

    changed: int
    last: int | None


class _Rematched(NamedTuple):
    path: str
    known: KnownFile
    rule: Rule


class Rematcher:
    """Works in portions, between which other calls of the store have their turn."""

    def __init__(
        self, inbox: Inbox, store: RunsOnStore, now: float, choose: Choose, log: Any, most: int, hold_reason: str
    ) -> None:
        """`most`: so many files from before the first scan are not held. `hold_reason`: why the others are."""
        self._inbox = inbox
        self._key = str(inbox.path)
        self._store = store
        self._now = now
        self._choose = choose
        self._log = log
        self._most = most
        self._hold_reason = hold_reason

    async def run(self) -> bool:
        """Return whether jobs were added or changed."""
        skipped = await self._decide_skipped()
        held = [await self._rematch_held(hold) for hold in Hold]
        return skipped or any(held)

    async def _decide_skipped(self) -> bool:
        inbox, choose = self._inbox, self._choose
        held = await self._store.run(lambda store: store.held_since_first_scan(self._key))
        decided, old = await self._in_portions(lambda after, store: _count(store, inbox, after, choose))
        if not decided:
            return False
        reason = self._hold_reason if inbox.existing == "hold" and old + held > self._most else None
        await self._in_portions(
            lambda after, store: decide(store, inbox, after, choose, hold_reason=reason, now=self._now)
        )
        self._log.info("inbox.rematched", inbox=self._key, files=decided, held=old if reason else 0)
        return True

    async def _in_portions(self, step: Callable[[str, Store], Portion]) -> tuple[int, int]:
        """How many files are decided again, and how many of these are old."""
        decided = old = 0
        after: str | None = ""
        while after is not None:
            portion = await self._store.run(partial(step, after))
            decided, old, after = decided + portion.decided, old + portion.old, portion.last
        return decided, old

    async def _rematch_held(self, hold: Hold) -> bool:
        total, after = 0, 0
        while True:
            portion = await self._store.run(partial(self._rematch_portion, hold, after))
            total += portion.changed
            if portion.changed:
                self._log.info("job.rematched", inbox=self._key, hold=str(hold), jobs=portion.changed)
            if portion.last is None:
                return total > 0
            after = portion.last

    def _rematch_portion(self, hold: Hold, after: int, store: Store) -> HeldPortion:
        return rematch_held(store, self._inbox, hold, after, self._now, self._choose)


# on the store's thread


def _count(store: Store, inbox: Inbox, after: str, choose: Choose) -> Portion:
    """Count what `decide` would decide. Changes nothing."""
    files = store.files_without_job(str(inbox.path), after, FILES_AT_ONCE)
    decided = [file.known.found_at_first_scan for file in _matched_now(inbox, files, choose)]
    return Portion(len(decided), sum(decided), _last(files))


def decide(
    store: Store, inbox: Inbox, after: str, choose: Choose = explanation.choose, *, hold_reason: str | None, now: float
) -> Portion:
    """Of the next skipped files, those that a rule matches now: with a reason, old ones become held jobs; the others are forgotten,
    so that the next scan finds them."""
    files = store.files_without_job(str(inbox.path), after, FILES_AT_ONCE)
    held = 0
    matched = list(_matched_now(inbox, files, choose))
    for path, known, rule in matched:
        if hold_reason and known.found_at_first_scan:
            file = FinishedFile(path, known.size, known.mtime_ns, 0)
            store.add_files(
                [new_files.processed(inbox, file, rule, hold=Hold.FIRST_SCAN, hold_reason=hold_reason)], now
            )
            held += 1
        else:
            store.forget(str(inbox.path), [path])
    return Portion(len(matched), held, _last(files))


def _last(files: list[tuple[str, KnownFile]]) -> str | None:
    return files[-1][0] if len(files) == FILES_AT_ONCE else None


def _matched_now(inbox: Inbox, files: list[tuple[str, KnownFile]], choose: Choose) -> Iterator[_Rematched]:
    """What a setting other than the rules has skipped stays so until that setting changes."""
    for path, known in files:
        if known.skip_reason is SkipReason.EMPTY:
            continue
        if known.skip_reason is SkipReason.EXISTING and inbox.existing != "take":
            continue
        if known.skip_reason is SkipReason.CHANGED and inbox.changed == "skip":
            continue
        if (rule := choose(inbox, path).rule) is not None:
            yield _Rematched(path, known, rule)


def rematch_job(job: Job, inbox: Inbox) -> Job:
    """An unpaid job by the rule that matches its file now; if none does, the job as it was."""
    rule = explanation.choose(inbox, job.path).rule
    if rule is None or job.paid or job.stage not in (Stage.UPLOAD, Stage.SPLIT):
        return job
    tasks = new_files.tasks(rule)
    settings = new_files.job_settings(inbox, rule)
    fingerprint = task.task_fingerprint(tasks)
    if (rule.name, settings, fingerprint) == (job.rule, job.settings, job.task_fingerprint):
        return job
    job = job if fingerprint == job.task_fingerprint else consent.without_consent(job)
    return replace(job, rule=rule.name, settings=settings, tasks=tasks, task_fingerprint=fingerprint)


def rematch_by_config(job: Job, config: Config) -> Job:
    """The same by the rules of the job's inbox; the job as it was if that is no longer configured."""
    inboxes = (inbox for inbox in config.inboxes if str(inbox.path) == job.inbox)
    return next((rematch_job(job, inbox) for inbox in inboxes), job)


def rematch_held(
    store: Store, inbox: Inbox, hold: Hold, after: int, now: float, choose: Choose = explanation.choose
) -> HeldPortion:
    """Apply the current rules to the next held jobs that are not paid."""
    held = store.held_unpaid(str(inbox.path), hold, after, FILES_AT_ONCE)
    keys = {id(rule): _rule_key(inbox, rule) for rule in inbox.rules}
    rules = ((job_id, key, choose(inbox, path).rule) for job_id, path, key in held)
    changed = 0
    for job in store.jobs_by_id(job_id for job_id, key, rule in rules if rule is not None and key != keys[id(rule)]):
        again = rematch_job(job, inbox)
        if again is not job:
            again = transitions.release(again, now, by_a_person=False) if hold in _RELEASED else again
            store.save(job, replace(again, updated_at=now))
            changed += 1
    return HeldPortion(changed, held[-1][0] if len(held) == FILES_AT_ONCE else None)


def _rule_key(inbox: Inbox, rule: Rule) -> tuple[str, str, str]:
    return rule.name, task.task_fingerprint(new_files.tasks(rule)), new_files.job_settings(inbox, rule).to_json()
