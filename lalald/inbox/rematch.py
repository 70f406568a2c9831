"""New settings: what was left alone, and would not be now, is decided anew; so is what is held and not paid. On the store's thread."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from lalald.config import Inbox, Rule
from lalald.inbox import explanation, new_files
from lalald.inbox.explanation import Choice
from lalald.inbox.first_scan import HOLD_REASON, MOST_TAKEN
from lalald.inbox.readiness import FinishedFile
from lalald.jobs import consent, transitions
from lalald.jobs import job as jobs
from lalald.jobs.job import Hold, Job, Stage
from lalald.store import KnownFile, SkipReason, Store

Choose = Callable[[Inbox, str], Choice]

FILES_AT_ONCE = 500
_ASKED_ANEW = (Hold.MINUTES, Hold.DUPLICATE)  # by other rules it may cost less, or ask for something else


class Portion(NamedTuple):
    """How many of some files are decided anew, how many of these are old, and after which path to go on, if at all."""

    decided: int
    old: int
    last: str | None


def count_old(store: Store, inbox: Inbox, after: str, choose: Choose = explanation.choose) -> Portion:
    """What the next files left alone come to. Changes nothing."""
    files = store.left_alone(str(inbox.path), after, FILES_AT_ONCE)
    decided = [_is_old(known) for _, known, _ in _decided_anew(inbox, files, choose)]
    return Portion(len(decided), sum(decided), _last(files))


def hold_old(inbox: Inbox, old: int, held: int) -> bool:
    """Whether old files are held: so many are matched anew, and others of their age are held already."""
    return inbox.existing == "hold" and old + held > MOST_TAKEN


def decide(
    store: Store, inbox: Inbox, after: str, choose: Choose = explanation.choose, *, hold: bool, now: float
) -> Portion:
    """Of the next files left alone those that a rule takes now: old ones become jobs that are held, where they are to be;
    the others are forgotten, so that the next look finds them."""
    files = store.left_alone(str(inbox.path), after, FILES_AT_ONCE)
    held = 0
    decided = list(_decided_anew(inbox, files, choose))
    for path, known, rule in decided:
        if hold and _is_old(known):
            sight = FinishedFile(path, known.size, known.mtime_ns, 0)
            store.take([new_files.taken(inbox, sight, rule, hold=Hold.FIRST_SCAN, hold_reason=HOLD_REASON)], now)
            held += 1
        else:
            store.forget(str(inbox.path), [path])
    return Portion(len(decided), held, _last(files))


def _last(files: list[tuple[str, KnownFile]]) -> str | None:
    return files[-1][0] if len(files) == FILES_AT_ONCE else None


def _is_old(known: KnownFile) -> bool:
    return known.found_at_first_scan


def _decided_anew(
    inbox: Inbox, files: list[tuple[str, KnownFile]], choose: Choose
) -> Iterator[tuple[str, KnownFile, Rule]]:
    """What was left alone on purpose stays so until its setting says otherwise."""
    for path, known in files:
        if known.skip_reason is SkipReason.EXISTING and inbox.existing != "take":
            continue
        if known.skip_reason is SkipReason.CHANGED and inbox.changed == "skip":
            continue
        if (rule := choose(inbox, path).rule) is not None:
            yield path, known, rule


def matched_now(job: Job, inbox: Inbox) -> Job:
    """A job that nothing was paid for yet, by the rule that takes its file now; where none does, as it was."""
    rule = explanation.choose(inbox, job.path).rule
    if rule is None or job.paid or job.stage not in (Stage.UPLOAD, Stage.SPLIT):
        return job
    tasks = new_files.tasks(rule)
    settings = new_files.job_settings(inbox, rule)
    if (rule.name, settings, jobs.task_fingerprint(tasks)) == (job.rule, job.settings, job.task_fingerprint):
        return job
    task_fingerprint = jobs.task_fingerprint(tasks)
    job = job if task_fingerprint == job.task_fingerprint else consent.without_consent(job)
    return replace(job, rule=rule.name, settings=settings, tasks=tasks, task_fingerprint=task_fingerprint)


def match_held(
    store: Store, inbox: Inbox, hold: Hold, after: int, now: float, choose: Choose = explanation.choose
) -> tuple[int, int | None]:
    """Held jobs of which nothing is paid go by the rules of now. How many of the next ones do, and after which to go on, if at all."""
    held = store.held_unpaid(str(inbox.path), hold, after, FILES_AT_ONCE)
    ways = {id(rule): _way(inbox, rule) for rule in inbox.rules}
    rules = ((job_id, by, choose(inbox, path).rule) for job_id, path, by in held)
    changed = 0
    for job in store.jobs_of(job_id for job_id, by, rule in rules if rule is not None and by != ways[id(rule)]):
        again = matched_now(job, inbox)
        if again is not job:
            again = transitions.release(again, now, by_a_person=False) if hold in _ASKED_ANEW else again
            store.save(job, replace(again, updated_at=now))
            changed += 1
    return changed, held[-1][0] if len(held) == FILES_AT_ONCE else None


def _way(inbox: Inbox, rule: Rule) -> tuple[str, str, str]:
    return rule.name, jobs.task_fingerprint(new_files.tasks(rule)), new_files.job_settings(inbox, rule).to_json()


def sees_more(store: Store, inbox: Inbox) -> bool:
    """Whether places are looked into now that were passed over: subfolders, or what `ignore` named."""
    before = store.fact(state_name(str(inbox.path)))
    if not isinstance(before, dict):
        return False
    return bool(inbox.recursive and not before["recursive"]) or not set(before["ignore"]) <= {*inbox.ignore}


def note_what_it_sees(store: Store, inbox: Inbox, now: float) -> None:
    """From now on nothing that lies in these places is a surprise."""
    seen = {"recursive": inbox.recursive, "ignore": sorted(inbox.ignore)}
    if store.fact(state_name(str(inbox.path))) != seen:
        store.set_fact(state_name(str(inbox.path)), seen, now)


def state_name(inbox: str) -> str:
    """A name that is text, whatever the inbox is called."""
    return f"seen in {hashlib.sha256(os.fsencode(inbox)).hexdigest()[:16]}"
