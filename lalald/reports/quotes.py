"""What each job will cost when it resumes: shown before the request, and stored with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.spending.consent import asks_about_upload, price_of, tasks_to_pay_on_retry, terms_of
from lalald.jobs.states import Hold, HoldSource
from lalald.jobs.task import Task
from lalald.reports.formatting import charged, price, printable
from lalald.reports.pricing import duration_of

DurationOf = Callable[[Job], float | None]


class Price(NamedTuple):
    """A sum: minutes, and the number of jobs with an unknown price, which the minutes do not include."""

    minutes: float
    unknown: int


@dataclass(frozen=True, slots=True)
class Quote:
    """One job: what happens to it, and its price in minutes, None if unknown. `stays`: why it stays held, or will be."""

    job_id: int
    path: str
    hold: Hold | None
    source: HoldSource | None
    what: str
    minutes: float | None
    terms: RequestTerms
    is_decided_after_upload: bool = False  # the price is what the file states; the service's figure decides
    stays: str | None = None
    stays_for: HoldSource | None = None

    def line(self) -> str:
        again = " again" if self.hold is Hold.LOST_TASK and self.minutes != 0.0 else ""
        once = ""
        if self.stays and self.minutes is not None and not self.is_decided_after_upload:
            once = "once it runs, "
        return f"job {self.job_id} {printable(self.path)}: {self.outcome()}; {once}{self._price_text()}{again}"

    def outcome(self) -> str:
        """What will happen to the job."""
        if not self.stays:
            return self.what
        return f"{'stays held for now' if self.hold else 'will be held'}: {printable(self.stays)}"

    def _price_text(self) -> str:
        if self.minutes is None:
            return "its cost is unknown: the file does not state its length"
        return f"{price(self.minutes)} according to the file" if self.is_decided_after_upload else charged(self.minutes)

    def facts(self) -> dict[str, Any]:
        return {
            "id": self.job_id,
            "path": self.path,
            "hold": self.hold and str(self.hold),
            "hold_source": self.source and str(self.source),
            "minutes": self.minutes,
            "stays_held": self.stays,
            "stays_held_for": self.stays_for and str(self.stays_for),
        }


def quote(job: Job, what: str, tasks: Sequence[Task], duration: float | None) -> Quote:
    """The quote of a job of which these tasks will be charged."""
    cost = price_of(tasks, duration)
    after_upload = asks_about_upload(job, job.hold, job.hold_source)
    return Quote(job.id, job.path, job.hold, job.hold_source, what, cost, terms_of(job, cost), after_upload)


def quote_of_retry(job: Job, now: Callable[[Job], Job], duration: DurationOf = duration_of) -> Quote:
    """`now`: matches the job to the current rules."""
    return quote(job, "resumes", tasks_to_pay_on_retry(now(job)), duration(job))


def together(quotes: Iterable[Quote]) -> Price:
    listed = list(quotes)
    return Price(sum(one.minutes or 0.0 for one in listed), sum(one.minutes is None for one in listed))


def by_hold(quotes: Iterable[Quote]) -> dict[str, tuple[int, Price]]:
    """The number of jobs for each kind of hold, and their price."""
    jobs: Counter[str] = Counter()
    minutes: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for one in quotes:
        kind = str(one.hold)
        jobs[kind] += 1
        minutes[kind] += one.minutes or 0.0  # type: ignore[assignment] # a Counter adds up what it is given
        unknown[kind] += one.minutes is None
    return {kind: (jobs[kind], Price(minutes[kind], unknown[kind])) for kind in jobs}


def facts(quotes: Sequence[Quote]) -> dict[str, Any]:
    """For `--json`."""
    cost = together(quotes)
    return {
        "jobs": [one.facts() for one in quotes],
        "minutes": cost.minutes,
        "unknown": cost.unknown,
    }
