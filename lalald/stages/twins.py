"""The same bytes with the same tasks: earlier results are given again instead of paid again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lalald.errors import FileError, FolderUnavailableError
from lalald.jobs import Done, Held, Hold, Job, Later, Outcome, Stage, State, Task, Track, told
from lalald.stages.bench import Bench
from lalald.stages.places import source_folder, source_path
from lalald.stages.source import digest
from lalald.stages.tracks import wanted
from lalald.store import Store

_WAIT_SECONDS = 3600.0  # the twin's end wakes the job; this is for a twin that is trimmed away


async def may_exist(job: Job, bench: Bench) -> bool:
    """Whether the job's bytes have to be compared: hashing costs a read, so only where one of the same size has the same tasks."""
    if job.redo or job.duplicate_accepted or job.handling.duplicates == "process":
        return False
    return await bench.store.run(lambda store: store.may_have_twin(job))


async def look(job: Job, bench: Bench) -> Outcome | None:
    """What follows from a twin of a job whose bytes are hashed, if there is one."""
    candidates = await bench.store.run(partial(_candidates, job))
    twins = [twin for twin in candidates if await _sha256(twin, bench) == job.sha256]
    return await _answer(job, twins, bench) if twins else None


def _candidates(job: Job, store: Store) -> list[Job]:
    return store.twins(job)


async def _sha256(twin: Job, bench: Bench) -> str | None:
    if twin.sha256 is not None:
        return twin.sha256
    try:
        return await bench.disks.on(source_folder(twin), digest, source_path(twin))
    except FileError:
        return None  # it cannot be compared, so it is no twin


async def _answer(job: Job, twins: list[Job], bench: Bench) -> Outcome | None:
    done = [twin for twin in twins if twin.state is State.DONE]
    if reused := await _from_results(job, done, bench):
        return reused
    under_way = sorted((twin for twin in twins if twin.state is not State.DONE), key=lambda twin: twin.id)
    for twin in under_way:
        if await bench.store.run(partial(_overtaken, job, twin)):
            continue
        reason = f"waits for job {twin.id}, which carries the same bytes"
        return Later(reason, job=replace(job, twin_id=twin.id), due_at=bench.clock.now() + _WAIT_SECONDS)
    if done and job.handling.duplicates == "hold":
        return ask(job, done[0].id)
    return None


async def _from_results(job: Job, done: list[Job], bench: Bench) -> Outcome | None:
    """The first results that are all there are copied; where there are none, those are waited for that are away with their outbox."""
    away: Held | None = None
    for twin in done:
        if held := await _held_for_its_outbox(job, twin, bench):
            away = away or held
        elif tasks := await bench.disks.on(twin.handling.outbox, _reused, job, twin):
            return Done(replace(job, tasks=tasks, twin_id=twin.id))
    return away


def _overtaken(job: Job, twin: Job, store: Store) -> bool:
    """A file that waits for somebody's word is no order: this one goes first, and the twin waits for it once it is released."""
    return store.overtake(twin.id, job.id)


async def away(job: Job, bench: Bench) -> Held | None:
    """Whether the job waits for the outbox in which its twin's results lie."""
    twin = await bench.store.run(lambda store: store.job(job.twin_id or 0))
    return await _held_for_its_outbox(job, twin, bench) if twin is not None else None


async def _held_for_its_outbox(job: Job, twin: Job, bench: Bench) -> Held | None:
    """Results that are not there may be away with their outbox, and what is paid is not paid again for that.

    One that no inbox has any more is not waited for.
    """
    if twin.handling.outbox in {job.handling.outbox, *(str(inbox.outbox) for inbox in bench.config.inboxes)}:
        try:
            await bench.folders.check(twin.handling.outbox)
        except FolderUnavailableError as error:
            return Held(Hold.MOUNT, told(error), job=replace(job, twin_id=twin.id))
    return None


def ask(job: Job, twin_id: int | None) -> Held:
    """Somebody has to decide whether the same bytes are paid for again."""
    reason = (
        f"job {twin_id} has carried the same bytes, but its results are no longer in the outbox as they were."
        f" `lalald release {job.id}` pays for them again."
    )
    return Held(Hold.DUPLICATE, reason, job=job)


def _reused(job: Job, twin: Job) -> tuple[Task, ...] | None:
    """The job's tasks with the twin's tracks to copy, or None where one that is wanted is not there any more."""
    results = {_key(task): task for task in twin.tasks}
    tasks = []
    for task in job.tasks:
        tracks = tuple(_to_copy(track, twin) for track in results[_key(task)].tracks)
        chosen = wanted(tracks, job.handling.tracks)
        if not chosen or any(track.wanted and not _is_there(track) for track in chosen):
            return None
        tasks.append(replace(task, stage=Stage.DOWNLOAD, tracks=chosen))
    return tuple(tasks)


def _key(task: Task) -> tuple[str, str]:
    presets: Mapping[str, Any] = task.presets
    return task.mode, json.dumps(dict(presets), sort_keys=True)


def _to_copy(track: Track, twin: Job) -> Track:
    origin = os.path.join(twin.handling.outbox, track.path) if track.path and track.delivered else None
    return replace(track, path=None, delivered=False, origin=origin)


def _is_there(track: Track) -> bool:
    if track.origin is None or track.sha256 is None:
        return False
    try:
        return os.stat(track.origin).st_size == track.size
    except OSError:
        return False
