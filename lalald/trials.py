"""Jobs that a probe let go: what is held again at once for the same thing is tried less and less."""

from __future__ import annotations

from dataclasses import dataclass

from lalald.jobs import Hold, Job, Stage

_FIRST_PAUSE_SECONDS = 20.0
_LONGEST_PAUSE_SECONDS = 300.0
_REMEMBERED_SECONDS = 60.0  # held again later than that it is another hold


@dataclass(frozen=True, slots=True)
class _Trial:
    stage: Stage
    hold: Hold | None
    times: int
    again_at: float  # by the monotonic clock


class Trials:
    """In memory: after a restart each job is tried anew."""

    def __init__(self) -> None:
        self._of: dict[int, _Trial] = {}

    def forget(self) -> None:
        """Somebody says that something has changed."""
        self._of.clear()

    def forget_old(self, monotonic: float) -> None:
        self._of = {
            job_id: trial for job_id, trial in self._of.items() if monotonic < trial.again_at + _REMEMBERED_SECONDS
        }

    def may(self, held: Job, monotonic: float) -> bool:
        """Whether the held job may be let go once more, which it is then."""
        before = self._before(held)
        if before is not None and monotonic < before.again_at:
            return False
        times = before.times + 1 if before is not None else 1
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(times - 2, 16)) if times > 1 else 0.0
        self._of[held.id] = _Trial(held.stage, held.hold, times, monotonic + pause)
        return True

    def are_in_vain(self, held: Job) -> bool:
        """Whether the job was let go more than once and is held all the same: nothing new is to be said of it."""
        before = self._before(held)
        return before is not None and before.times > 1

    def _before(self, held: Job) -> _Trial | None:
        before = self._of.get(held.id)
        return before if before is not None and (before.stage, before.hold) == (held.stage, held.hold) else None
