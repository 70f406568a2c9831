"""Which jobs are at work: a claimed job is run by one loop, and no other loop takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lalald.jobs.job import Job
from lalald.worker.wakeups import Wakeups


class Claims:
    """In memory: after a restart no job is claimed."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        self._claimed: set[int] = set()
        self._saved: dict[int, Job] = {}  # claimed jobs as they were last saved
        self._set_aside: set[int] = set()  # claimed jobs that an unexpected exception set aside
        self._requested: set[int] = set()  # claimed jobs with a request in their row
        self.idle_event = asyncio.Event()  # set whenever a job is released; `run --once` waits for it

    def is_claimed(self, job_id: int) -> bool:
        return job_id in self._claimed

    @property
    def job_ids(self) -> frozenset[int]:
        return frozenset(self._claimed)

    def claim(self, jobs: Iterable[Job]) -> None:
        self._claimed.update(job.id for job in jobs)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Release jobs that were not run; the loop that claimed them will ask for them again."""
        self._claimed.difference_update(job.id for job in jobs)

    def note_saved(self, job: Job) -> None:
        """A claimed job was saved: on its release the loops that can go on with it are woken."""
        if job.id in self._claimed:
            self._saved[job.id] = job

    def note_set_aside(self, job_id: int) -> None:
        """A job was set aside: every loop is woken, once the job is released."""
        if job_id in self._claimed:
            self._set_aside.add(job_id)
        else:
            self._wakeups.wake_all()

    def note_request(self, job_id: int) -> None:
        """A claimed job's row holds a request: the request loop is woken on its release."""
        self._requested.add(job_id)

    def release(self, jobs: Iterable[Job]) -> None:
        """The work on these jobs is over; wake the loops that can go on with them."""
        for job in jobs:
            self._claimed.discard(job.id)
            if (saved := self._saved.pop(job.id, None)) is not None:
                self._wakeups.wake_for(saved)
            if job.id in self._set_aside:
                self._set_aside.discard(job.id)
                self._wakeups.wake_all()
            if job.id in self._requested:
                self._requested.discard(job.id)
                self._wakeups.requests.wake()
        self.idle_event.set()
