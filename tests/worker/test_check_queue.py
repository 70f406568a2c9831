"""Which tasks are checked together: a model of a service that fails for some of them, on a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.jobs.states import Stage
from lalald.jobs.task import Task
from lalald.store import NewFile, Store
from lalald.worker.checks.check_queue import MOST_IN_A_CHECK, CheckQueue
from tests.jobs.test_transitions import NOW, SETTINGS
from tests.worker.test_rate_limiter import SteppedClock

FAILS, REFUSES = "fails", "refuses"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    opened.connection.execute("PRAGMA synchronous = OFF")  # thousands of commits, and no power cut
    yield opened
    opened.close()


def running(store: Store, count: int, first: int = 0) -> None:
    """Tasks t0, t1 … are under way."""
    numbers = range(first, first + count)
    plain = (Task(1, None, "demuser", {}),)
    taken = store.add_files([NewFile("/in", f"{n}.wav", 10, n, n, "rule", SETTINGS, plain) for n in numbers], NOW)
    for number, job_id in zip(numbers, taken, strict=True):
        job = store.job(job_id or 0)
        assert job is not None
        task = replace(job.tasks[0], stage=Stage.CHECK, task_id=f"t{number}", due_at=NOW + number, minutes=0.0)
        store.save(job, replace(job.with_task(task), stage=Stage.CHECK, source_id="s"))


class Service:
    """Answers a request unless it names a culprit, and is asked every two seconds."""

    def __init__(self, store: Store, culprits: Sequence[str], how: str = FAILS) -> None:
        self.store = store
        self.clock = SteppedClock()
        self.queue = CheckQueue(self.clock, lambda: 1.0)
        self.culprits = frozenset(culprits)
        self.how = how
        self.is_down = False
        self.answered: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.alone: set[str] = set()

    def ask(self, seconds: float = 2.0) -> None:
        self.clock.at += seconds
        asked, wait = self.queue.next_request(self.store, NOW)
        if asked is None:
            assert wait is not None, "something runs"
            return
        assert 0 < len(asked.ids) <= MOST_IN_A_CHECK
        self.asked.append(asked.ids)
        if self.is_down or not self.culprits.isdisjoint(asked.ids):
            if self.queue.failed(asked, refused=self.how == REFUSES):
                self.alone.update(asked.ids)
            return
        self.queue.answered(asked)
        for task_id in asked.ids:
            self.answered[task_id] = self.answered.get(task_id, 0) + 1
        later = (
            "UPDATE tasks SET due_at = due_at + 10000 WHERE task_id = ?"  # as where there are too many for one request
        )
        self.store.connection.execute("BEGIN")  # 200 commits would be 200 times as slow
        self.store.connection.executemany(later, [(task_id,) for task_id in asked.ids])
        self.store.connection.execute("COMMIT")

    def until(self, condition: Callable[[], object], most: int) -> int:
        """How many requests it takes."""
        before = len(self.asked)
        while not condition():
            assert len(self.asked) - before < most, self.asked[-3:]
            self.ask()
        return len(self.asked) - before


@pytest.mark.parametrize("how", [FAILS, REFUSES])
@pytest.mark.parametrize("culprit", [0, 1, 77, 100, 198, 199])
def test_one_culprit_of_two_hundred_is_alone_after_a_few_requests(how: str, culprit: int, store: Store) -> None:
    running(store, 200)
    service = Service(store, [f"t{culprit}"], how)
    service.until(lambda: len(service.answered) == 199, most=25)
    service.until(lambda: service.alone == {f"t{culprit}"}, most=6)
    before = len(service.asked)
    for _ in range(100):
        service.ask()
    later = service.asked[before:]
    assert sum(len(ids) == 199 for ids in later) > 80, "the others are checked as before"
    assert [ids for ids in later if len(ids) < 199] == [[f"t{culprit}"]] * (100 - sum(len(ids) == 199 for ids in later))
    assert sum(len(ids) == 1 for ids in later) <= 10, "after ever longer pauses"


@pytest.mark.parametrize(
    "culprits", [["t3", "t4"], ["t0", "t199"], ["t5", "t60", "t120"], [f"t{n}" for n in range(10)]]
)
def test_several_culprits_keep_nothing_from_the_others(culprits: list[str], store: Store) -> None:
    running(store, 200)
    service = Service(store, culprits)
    service.until(lambda: len(service.answered) == 200 - len(culprits), most=25 * len(culprits))
    service.until(lambda: service.alone == set(culprits), most=100)


def test_tasks_that_come_meanwhile_take_turns_with_the_suspects(store: Store) -> None:
    running(store, 200)
    service = Service(store, ["t7"])
    service.until(lambda: len(service.queue._halving) > 0, most=3)
    running(store, 300, first=200)
    service.until(lambda: len(service.answered) >= 399, most=60)


def test_after_an_outage_all_tasks_are_requested_together_at_once(store: Store) -> None:
    running(store, 200)
    service = Service(store, [])
    service.is_down = True
    for _ in range(60):
        service.ask(150.0)
    service.is_down = False
    assert service.until(lambda: len(service.answered) == 200, most=3) <= 2
    assert not service.queue._halving


def test_after_an_outage_a_culprit_among_them_is_found_all_the_same(store: Store) -> None:
    running(store, 200)
    service = Service(store, ["t150"])
    service.is_down = True
    for _ in range(20):
        service.ask(150.0)
    service.is_down = False
    service.until(lambda: len(service.answered) == 199, most=40)


def test_a_culprit_that_is_answered_is_one_of_the_others_again(store: Store) -> None:
    running(store, 4)
    service = Service(store, ["t2"])
    service.until(lambda: service.alone, most=12)
    service.culprits = frozenset()
    service.until(lambda: service.answered.get("t2"), most=10)
    service.ask()
    assert sorted(service.asked[-1]) == ["t0", "t1", "t2", "t3"]


def test_what_runs_no_more_is_forgotten(store: Store) -> None:
    running(store, 3)
    service = Service(store, ["t0"])
    service.until(lambda: service.alone, most=12)
    store.connection.execute("UPDATE tasks SET stage = 'done'")
    service.clock.at += 1000.0
    assert service.queue.next_request(store, NOW) == (None, None)
    assert service.queue.next_request(store, NOW) == (None, None)
    assert not service.queue._halving
