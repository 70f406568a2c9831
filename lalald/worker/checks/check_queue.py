"""Which running tasks are in the next `/check/` request: all of them, unless one makes the whole request fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lalald.clock import Clock
from lalald.jobs.halving import Halving
from lalald.store.due import RunningTask
from lalald.store.store import Store
from lalald.worker.service.rate_limiter import GrowingPauses

MOST_IN_A_CHECK = 200  # the document's maxItems


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """The tasks of the next request. `is_trial`: all of them together again, since the service has recovered."""

    tasks: Sequence[RunningTask]
    is_trial: bool = False

    @property
    def ids(self) -> list[str]:
        return [task.task_id for task in self.tasks]


class CheckQueue:
    """Requests as many tasks as fit. A request that fails as a whole is halved, larger parts first, alternating with the tasks that
    are not suspected. A task that fails alone is remembered, and does not delay the others.

    If part after part fails it may be an outage: after the first success all are requested together again. In memory.
    """

    _TURNS_OF_SUSPECTS = 3  # before the others have theirs: they were left unanswered for longer
    _OUTAGE_PARTS = 3  # that fail one after another: so many culprits at once are rarer than an outage

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._halving: Halving[str] = Halving()
        self._alone = GrowingPauses(clock, jitter)  # of the tasks whose own check fails
        self._turns_of_suspects = 0  # in a row
        self._failed_parts = 0  # since the last one that was answered
        self._answered_since = True  # since the first of the suspected ones failed
        self._trial_is_next = False

    def next_request(self, store: Store, now: float) -> tuple[CheckRequest | None, float | None]:
        """The next request, or None and the seconds until there is one (None if no task runs)."""
        if not self._halving:
            return self._all(store, now), self._until_stuck_task(store, now)
        suspects = store.running_tasks(now, len(self._halving), only=self._halving.suspects)
        self._keep_only(suspects)
        others = self._all(store, now)
        if self._trial_is_next:
            together = [*suspects, *(others.tasks if others else ())][:MOST_IN_A_CHECK]
            return CheckRequest(together, is_trial=True) if together else None, self._until_stuck_task(store, now)
        part = self._next_part(suspects)
        if part and (self._turns_of_suspects < self._TURNS_OF_SUSPECTS or others is None):
            return CheckRequest(part), None
        if others is not None:
            return others, None
        waits = (self._alone.next_seconds, self._until_stuck_task(store, now))
        return None, min((wait for wait in waits if wait is not None), default=None)

    def _all(self, store: Store, now: float) -> CheckRequest | None:
        tasks = store.running_tasks(now, MOST_IN_A_CHECK, but=self._halving.suspects)
        return CheckRequest(tasks) if tasks else None

    def _until_stuck_task(self, store: Store, now: float) -> float | None:
        due_at = store.next_stuck_due_at()
        return None if due_at is None else max(0.0, due_at - now)

    def _next_part(self, suspects: Sequence[RunningTask]) -> Sequence[RunningTask]:
        """The largest part to be requested; of tasks that fail alone, the next one whose pause is over."""
        ready = [task for task in suspects if not self._alone.wait_seconds(task.task_id)]
        limits = {task.task_id: self._halving.limit(task.task_id, MOST_IN_A_CHECK) for task in ready}
        largest = max(limits.values(), default=0)
        alike = [task for task in ready if limits[task.task_id] == largest]
        if largest == 1:
            return [min(alike, key=lambda task: self._alone.times(task.task_id))]
        return alike[-largest:] if largest else []  # the failing task is retried most often and tends to be the first

    def _keep_only(self, running: Sequence[RunningTask]) -> None:
        there = {task.task_id for task in running}
        self._halving.keep(there)
        self._alone.keep(there)

    def _count_turn(self, request: CheckRequest) -> None:
        is_of_suspects = any(task_id in self._halving for task_id in request.ids)
        self._turns_of_suspects = self._turns_of_suspects + 1 if is_of_suspects else 0

    def answered(self, request: CheckRequest) -> None:
        """Record that the request succeeded."""
        self._count_turn(request)
        was_long = self._failed_parts >= self._OUTAGE_PARTS and not self._answered_since
        self._trial_is_next = not request.is_trial and was_long and len(self._halving) > len(request.tasks)
        self._failed_parts, self._answered_since = 0, True
        self._halve_remaining(request.ids)
        self._halving.forget(request.ids)
        for task_id in request.ids:
            self._alone.forget(task_id)

    def _halve_remaining(self, answered: Sequence[str]) -> None:
        """One half succeeded, so the failing task is in the other half, which is halved at once."""
        level = self._halving.limit(answered[0], MOST_IN_A_CHECK)
        left = [
            task_id
            for task_id in self._halving.suspects
            if task_id not in answered and self._halving.limit(task_id, MOST_IN_A_CHECK) == level
        ]
        if answered[0] in self._halving and 1 < len(left) <= level:
            self._halving.halve(left)

    @property
    def has_suspects(self) -> bool:
        """Whether parts of a failed request are still to be requested."""
        return len(self._halving) > len(self._alone)

    def failed(self, request: CheckRequest, *, refused: bool) -> bool:
        """Record that the request failed as a whole. Returns whether its only task is the cause, since other requests succeed."""
        self._count_turn(request)
        if request.is_trial:
            self._trial_is_next = False
            return False
        self._failed_parts += 1
        was_suspected = any(task_id in self._halving for task_id in request.ids)
        self._halving.failed(request.ids, refused=refused)
        if not was_suspected and request.ids[0] in self._halving:
            self._answered_since, self._turns_of_suspects, self._failed_parts = False, 0, 0
        is_alone = len(request.ids) == 1 and was_suspected
        if is_alone:
            self._alone.failed(request.ids[0])
        return is_alone and self._answered_since
