"""A lane alone: what it begins, what it leaves alone, and when it looks again; on an event loop whose time flies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from lalald.jobs.halving import Halving
from lalald.jobs.job import Job
from lalald.jobs.states import Stage
from lalald.jobs.task import Task
from lalald.store import NewFile, Store, StoreThread
from lalald.store.due import Demand, DueJobs, Queue
from lalald.worker.service.circuit_breaker import CircuitBreakers
from lalald.worker.stage_pool import StagePool
from tests.jobs.test_transitions import SETTINGS
from tests.support.worker_driver import SteppedClock, run


class Yard:
    """A pool of uploads on a store with jobs of these attempts; what runs waits until it is told to end."""

    def __init__(self, root: Path, attempts: Sequence[int], *, slots: int = 4, size: int = 1) -> None:
        self.clock = SteppedClock()
        self.breakers = CircuitBreakers(self.clock, lambda: 1.0)
        self.store = StoreThread(lambda: Store.open(root / "state"))
        self.attempts = attempts
        self.carried: set[int] = set()
        self.begun: list[list[int]] = []
        self.ends: dict[int, asyncio.Event] = {}
        self.halving: Halving[int] = Halving()
        self.looks = 0
        self.lane = StagePool(
            "upload", slots=lambda: slots, take=self._take, run_group=self._carry, breakers=self.breakers,
            group=lambda: size, batch_size=self._leading, put_back=self._put_back,
        )  # fmt: skip

    def _leading(self, jobs: Sequence[Job]) -> int:
        return self.halving.leading([job.id for job in jobs], 100)

    async def begin(self) -> None:
        await self.store.start()
        found = [
            NewFile("/in", f"{number}.wav", 10, number, number, "rule", SETTINGS, (Task(1, None, "demuser", {}),))
            for number in range(1, len(self.attempts) + 1)
        ]

        def fill(store: Store) -> None:
            store.add_files(found, 0.0)
            for number, times in enumerate(self.attempts, 1):
                store.connection.execute("UPDATE jobs SET attempts = ? WHERE id = ?", (times, number))

        await self.store.run(fill)
        self.running = asyncio.create_task(self.lane.run())
        await self.settled()

    async def settled(self) -> None:
        """The lane has looked, and looked again."""
        for _ in range(3):
            await self.lane.signal.next_turn()

    async def _take(self, demand: Demand) -> DueJobs:
        self.looks += 1
        carried, now = frozenset(self.carried), self.clock.now()
        due = await self.store.run(lambda store: store.due(Queue(Stage.UPLOAD), now, demand, carried))
        self.carried.update(job.id for job in (*due.jobs, *due.probes))
        return due

    def _put_back(self, jobs: Sequence[Job]) -> None:
        self.carried.difference_update(job.id for job in jobs)

    async def _carry(self, jobs: Sequence[Job]) -> None:
        ids = [job.id for job in jobs]
        self.begun.append(ids)
        self.ends[ids[0]] = asyncio.Event()
        await self.ends[ids[0]].wait()

    async def forget(self, job_ids: Sequence[int]) -> None:
        """They are not due any more."""
        marks = [(job_id,) for job_id in job_ids]
        end = "UPDATE jobs SET state = 'done' WHERE id = ?"
        await self.store.run(lambda store: store.connection.executemany(end, marks))

    async def end(self, job_id: int) -> None:
        """It ends for good."""
        await self.forget([job_id])
        self.ends[job_id].set()
        await self.settled()

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.store.stop()


def test_jobs_that_failed_take_half_of_the_slots_and_no_more_while_others_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        yard = Yard(tmp_path, [1] * 6 + [0] * 6)
        await yard.begin()
        assert sorted(yard.begun) == [[1], [2], [7], [8]]
        await yard.end(7)
        await yard.end(8)
        assert sorted(yard.begun[4:]) == [[9], [10]], "the other half is theirs, however long the failing ones take"
        for job_id in (9, 10, 11, 12):
            await yard.end(job_id)
        assert sorted(yard.begun[6:]) == [[3], [4], [11], [12]], "where none of the others waits they have all of them"
        await yard.stop()

    run(scenario())


def test_a_single_slot_is_theirs_every_other_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        yard = Yard(tmp_path, [1, 1, 1, 0, 0, 0], slots=1)
        await yard.begin()
        for _ in range(5):
            await yard.end(yard.begun[-1][0])
        kinds = ["tried" if job_id <= 3 else "untried" for (job_id,) in yard.begun]
        assert kinds in (["tried", "untried"] * 3, ["untried", "tried"] * 3)
        await yard.stop()

    run(scenario())


def test_a_request_for_many_mixes_none_that_failed_with_others_and_leaves_suspects_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        yard = Yard(tmp_path, [1, 1, 1, 0, 0], slots=1, size=100)
        yard.halving.failed([2], refused=True)
        await yard.begin()
        seen = [yard.begun[-1]]
        for _ in range(3):
            await yard.forget(yard.begun[-1])
            yard.ends[yard.begun[-1][0]].set()
            await yard.settled()
            seen.append(yard.begun[-1])
        assert sorted(seen) == [[1], [2], [3], [4, 5]]
        await yard.stop()

    run(scenario())


def test_while_a_breaker_is_open_one_probe_goes_and_the_lane_sleeps_until_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        yard = Yard(tmp_path, [3, 2, 1, 1])
        breaker = yard.breakers.of()
        breaker.failed([1, 2, 3], "503", began_at=yard.clock.monotonic(), jobs_there=3, retry_after_seconds=200.0)
        await yard.begin()
        assert yard.begun == [], "it pauses"
        looks = yard.looks
        await asyncio.sleep(201.0)
        await yard.settled()
        assert yard.begun == [[3]], "the one with the fewest failures"
        assert yard.looks - looks < 10
        breaker.failed([3], "503", began_at=yard.clock.monotonic(), retry_after_seconds=200.0)
        yard.ends[3].set()
        await yard.settled()
        assert yard.begun == [[3]]
        breaker.succeeded([3])
        yard.lane.signal.wake()
        await yard.settled()
        assert len(yard.begun) == 3, "two slots after the first success"
        await yard.stop()

    run(scenario())
