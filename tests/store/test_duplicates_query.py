"""Files of equal size are many where recordings are of equal length: the twin among them is found all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.jobs.job import Job
from lalald.jobs.states import Stage, State
from lalald.jobs.task import Task
from lalald.store import NewFile, Store
from tests.jobs.test_transitions import SETTINGS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def taken(store: Store, count: int) -> list[Job]:
    """Jobs for files of one size, oldest first."""
    task = Task(1, None, "demuser", {"stem": "music"})
    found = [NewFile("/in", f"{number}.wav", 10, number, number, "r", SETTINGS, (task,)) for number in range(count)]
    return store.jobs_by_id(job_id for job_id in store.add_files(found, 1.0) if job_id is not None)


def done(store: Store, job: Job, sha256: str) -> Job:
    return store.save(job, replace(job, stage=Stage.DONE, state=State.DONE, sha256=sha256))


def test_the_oldest_of_hundreds_of_equal_size_is_found_by_its_bytes(store: Store) -> None:
    *earlier, newest = taken(store, 300)
    for number, job in enumerate(earlier):
        done(store, job, str(number))
    assert store.may_have_duplicate(newest)
    assert [twin.id for twin in store.duplicates(replace(newest, sha256="0"))] == [earlier[0].id]


def test_older_jobs_under_way_are_compared_and_newer_ones_wait(store: Store) -> None:
    first, second, third = taken(store, 3)
    assert not store.may_have_duplicate(first)
    assert store.may_have_duplicate(second)
    assert [twin.id for twin in store.duplicates(replace(second, sha256="x"))] == [first.id]
    uploaded = store.save(first, replace(first, stage=Stage.SPLIT, sha256="x"))
    assert [twin.id for twin in store.duplicates(replace(third, sha256="x"))] == [uploaded.id, second.id]
    assert [twin.id for twin in store.duplicates(replace(third, sha256="y"))] == [second.id]


def test_a_done_duplicate_comes_before_one_under_way(store: Store) -> None:
    first, second, third = taken(store, 3)
    done(store, first, "x")
    store.save(second, replace(second, stage=Stage.SPLIT, sha256="x"))
    assert [twin.id for twin in store.duplicates(replace(third, sha256="x"))] == [first.id, second.id]
