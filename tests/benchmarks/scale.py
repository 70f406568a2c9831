"""What the store's questions cost where the history is long, many files wait, and many tasks run: a simulation, without a daemon."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from lalald.daemon.housekeeping import JOBS_PER_TRIM
from lalald.jobs.job import JobSettings
from lalald.jobs.states import Stage
from lalald.jobs.task import Task
from lalald.store import NewFile, Store
from lalald.store.due import Demand, ProbeWanted, Queue
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.history import multiply
from tests.benchmarks.place import folder
from tests.support.running import Home

SMALL = {"history": 50, "waiting": 20, "running": 10, "rounds": 1}
_NOW = 1e9
_PROBE = Demand(0, 0, probes={"": ProbeWanted(any_job=True, untried_job=True)})
_HANDLING = JobSettings(
    "/out", "{name}/{label}.{ext}", "rename", "reuse", None, {}, True, False, "move", "done", "move", "failed"
)


def measure(*, history: int = 1_000_000, waiting: int = 100_000, running: int = 6000, rounds: int = 20) -> list[Figure]:
    """Milliseconds of one question each, at the median."""
    with folder() as root:
        home = Home(root, "http://127.0.0.1:9")
        _filled(home, history, waiting, running)
        opened = _figure("opening and checking it, at a start", lambda: Store.open(home.state).close(), 3)
        store = Store.open(home.state)
        waits = store.due(Queue(Stage.UPLOAD), _NOW, Demand(1, 1)).jobs[0]
        questions: dict[str, Callable[[], object]] = {
            "the next three uploads": lambda: store.due(Queue(Stage.UPLOAD), _NOW, Demand(3, 1)),
            "the next 100 to be started": lambda: store.due(
                Queue(Stage.SPLIT, "demuser"), _NOW, Demand(100, 100, apart=True)
            ),
            "the next probe, the smallest of all": lambda: store.due(Queue(Stage.UPLOAD), _NOW, _PROBE),
            "200 running tasks, most due first": lambda: store.running_tasks(_NOW, 200),
            "whether a file may have a twin": lambda: store.may_have_duplicate(waits),
            "a save": lambda: _save(store, waits.id),
            "minutes spent this month": lambda: store.charges.spent_since(_NOW - 30 * 86_400),
            "the counts of `STATUS=`": store.counts.by_stage,
        }
        figures = [opened, *(_figure(what, ask, rounds) for what, ask in questions.items())]
        figures.append(_trimming(store))
        size = (home.state / "lalald.sqlite3").stat().st_size
        store.close()
    jobs = f"{history:,} jobs done, {waiting:,} waiting, {running:,} tasks running"
    return [Figure(f"the database: {jobs}", f"{size / 1e6:,.0f} MB", "–", "–"), *figures]


def _figure(what: str, ask: Callable[[], object], rounds: int) -> Figure:
    taken = []
    for _ in range(rounds):
        began_at = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began_at) * 1000)
    return Figure(what, f"{statistics.median(taken):.2f} ms", "–", "–")


def _trimming(store: Store) -> Figure:
    """The daily look at the whole history, where a tenth of it may go; other questions have their turn between its portions."""
    newest = store.history.newest_id()
    store.connection.execute("UPDATE jobs SET sha256 = hex(randomblob(32)) WHERE state = 'done' AND id % 10 != 0")
    taken = []
    for first in range(1, newest + 1, JOBS_PER_TRIM):
        began_at = time.perf_counter()
        store.history.trim(2 * _NOW, range(first, first + JOBS_PER_TRIM))
        taken.append((time.perf_counter() - began_at) * 1000)
    return Figure(
        "the daily trimming: its longest portion, and all", f"{max(taken):.0f} ms, {sum(taken):.0f} ms", "–", "–"
    )


def _save(store: Store, job_id: int) -> None:
    job = store.job(job_id)
    assert job is not None
    store.save(job, job)


def _filled(home: Home, history: int, waiting: int, running: int) -> None:
    """One job of each kind, and its rows as often as wanted."""
    kinds = (
        (history, {"stage": "'done'", "state": "'done'"}, {"stage": "'done'"}),
        (running, {"stage": "'check'"}, {"stage": "'check'", "due_at": "n"}),
        (waiting, {}, {}),
    )
    for number, (count, of_jobs, of_tasks) in enumerate(kinds):
        _take_one(home.state, number)
        multiply(home, count, jobs=of_jobs, tasks=of_tasks)


def _take_one(state: Path, number: int) -> None:
    store = Store.open(state)
    task = Task(1, None, "demuser", {"stem": "music"}, task_id=f"task {number}")
    store.add_files([NewFile("/in", f"{number}.wav", 10**7, 1, 1, "r", _HANDLING, (task,))], _NOW)
    store.close()


if __name__ == "__main__":
    show(measure)
