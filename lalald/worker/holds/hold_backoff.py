"""When holds are probed again: with pauses that grow from 10 s to 10 min."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass

from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 600.0
_REMEMBERED_SECONDS = 60.0  # held again later than that it is another hold


class ProbeSchedule:
    """When each failed probe is repeated; what is not in the schedule is probed at once."""

    def __init__(self) -> None:
        self._pauses: dict[
            Hashable, tuple[float, float]
        ] = {}  # the next moment by the monotonic clock, the pause before

    def keep(self, needs: Collection[Hashable]) -> None:
        """Only these are still waited for."""
        self._pauses = {need: pause for need, pause in self._pauses.items() if need in needs}

    def is_due(self, need: Hashable, now: float) -> bool:
        return need not in self._pauses or self._pauses[need][0] <= now

    def failed(self, need: Hashable, now: float) -> None:
        """The next pause is twice as long."""
        _, pause = self._pauses.get(need, (0.0, FIRST_PAUSE_SECONDS / 2))
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 * pause)
        self._pauses[need] = (now + pause, pause)

    def succeeded(self, need: Hashable) -> None:
        self._pauses.pop(need, None)

    def postpone(self, need: Hashable, at: float) -> None:
        """Not before that moment."""
        self._pauses[need] = (at, FIRST_PAUSE_SECONDS)

    def next_at(self) -> float:
        """By the monotonic clock; infinite where nothing is waited for."""
        return min((at for at, _ in self._pauses.values()), default=float("inf"))

    def make_all_due(self) -> None:
        """Something has changed: make everything due, with the first pause again."""
        self._pauses = dict.fromkeys(self._pauses, (float("-inf"), FIRST_PAUSE_SECONDS / 2))


@dataclass(frozen=True, slots=True)
class _Release:
    stage: Stage
    hold: Hold | None
    times: int
    again_at: float  # by the monotonic clock


class HoldBackoff:
    """Jobs that a probe released and that were held again at once for the same thing. In memory: a restart releases each again."""

    def __init__(self) -> None:
        self._of: dict[int, _Release] = {}

    def forget(self) -> None:
        """Something has changed: allow every job again."""
        self._of.clear()

    def forget_old(self, monotonic: float) -> None:
        self._of = {
            job_id: trial for job_id, trial in self._of.items() if monotonic < trial.again_at + _REMEMBERED_SECONDS
        }

    def allows(self, held: Job, monotonic: float) -> bool:
        """Whether the held job may be released again; if so, the release is counted."""
        before = self._before(held)
        if before is not None and monotonic < before.again_at:
            return False
        times = before.times + 1 if before is not None else 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(times - 1, 16))
        self._of[held.id] = _Release(held.stage, held.hold, times, monotonic + pause)
        return True

    def again_at(self, held: Job) -> float:
        """When it may be released again, by the monotonic clock."""
        before = self._before(held)
        return before.again_at if before is not None else float("-inf")

    def keeps_failing(self, held: Job) -> bool:
        """Whether the job was released more than once and is held again: nothing new is to be logged."""
        before = self._before(held)
        return before is not None and before.times > 1

    def _before(self, held: Job) -> _Release | None:
        before = self._of.get(held.id)
        return before if before is not None and (before.stage, before.hold) == (held.stage, held.hold) else None
