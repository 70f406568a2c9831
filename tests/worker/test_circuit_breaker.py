"""When a service counts as failing, with a clock that the test turns."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.jobs.halving import Halving
from lalald.worker.service.circuit_breaker import QUICK_PAUSE_SECONDS, QUICK_PROBES, CircuitBreaker, CircuitBreakers
from tests.worker.test_rate_limiter import SteppedClock


class StageContext:
    """A breaker and its clock; jobs are numbers."""

    def __init__(self, jitter: float = 1.0) -> None:
        self.clock = SteppedClock()
        self.breaker = CircuitBreaker(self.clock, lambda: jitter)

    def fails(self, *jobs: int, there: int = 100, retry_after: float | None = None) -> bool:
        return self.breaker.failed(
            jobs, "503", began_at=self.clock.at, jobs_there=there, retry_after_seconds=retry_after
        )


def test_it_opens_when_three_different_jobs_fail_in_a_row() -> None:
    context = StageContext()
    assert [context.fails(1), context.fails(1), context.fails(2), context.fails(3)] == [False, False, False, True]
    assert context.breaker.problem == "503"
    assert context.breaker.wait_seconds() == 1.0


def test_it_opens_when_all_the_jobs_there_are_have_failed() -> None:
    assert StageContext().fails(1, there=1)
    context = StageContext()
    assert [context.fails(1, there=2), context.fails(2, there=2)] == [False, True]


def test_a_request_for_many_that_fails_is_many_jobs_that_fail() -> None:
    assert StageContext().fails(1, 2, 3, 4)


def test_a_success_between_keeps_it_closed() -> None:
    context = StageContext()
    for job in range(2, 30, 2):
        assert not context.fails(job)
        assert not context.breaker.succeeded([1])


def test_jobs_that_failed_before_others_succeeded_open_nothing() -> None:
    context = StageContext()
    for poison in (1, 2, 3, 4):
        context.breaker.succeeded([100])
        context.fails(poison)
    context.breaker.succeeded([100])
    assert not any(context.fails(poison) for poison in (1, 2, 3, 4)), "it was theirs before"
    assert [context.fails(poison) for poison in (1, 2, 3)] == [False, False, True], "nothing has succeeded since"


def test_one_probe_at_a_time_and_then_slots_that_double() -> None:
    context = StageContext()
    breaker = context.breaker
    breaker.begin([7])
    context.fails(1, 2, 3)
    assert breaker.allowed(6) == 1, "what left before does not count as a probe"
    breaker.begin([1])
    assert breaker.allowed(6) == 0
    breaker.end([1])
    assert breaker.allowed(6) == 1, "it ended without a word of the service"
    breaker.end([7])
    allowed = []
    for job in (1, 2, 3, 4):
        breaker.succeeded([job])
        allowed.append(breaker.allowed(12))
    assert allowed == [2, 4, 8, 12]
    breaker.begin([1, 2])
    assert breaker.allowed(12) == 10


def test_the_pause_grows_to_five_minutes_and_to_ten_seconds_while_an_untried_job_waits() -> None:
    context = StageContext()
    context.fails(1, 2, 3)
    pauses = []
    for job in range(4, 24):
        pauses.append((context.breaker.wait_seconds(), context.breaker.wait_seconds(untried_waits=True)))
        context.clock.at += 1000.0
        context.fails(job)
    slow, quick = zip(*pauses, strict=True)
    assert slow[:5] == (1.0, 2.0, 4.0, 8.0, 16.0)
    assert slow[-1] == 300.0
    assert list(quick) == sorted(quick)
    assert quick[-1] == QUICK_PAUSE_SECONDS
    assert sum(quick[:7]) < 13.0, "ten poison files are got over soon"


def test_an_outage_is_one_however_many_untried_jobs_wait_until_one_comes_that_is_alone() -> None:
    context = StageContext()
    context.fails(1, 2, 3)
    for job in range(4, 4 + QUICK_PROBES):
        context.breaker.note_waiting(untried_waits=True)
        context.clock.at += 1000.0
        context.fails(job)
    assert context.breaker.wait_seconds(untried_waits=True) == 300.0
    context.breaker.note_waiting(untried_waits=False)
    assert context.breaker.wait_seconds(untried_waits=True) == QUICK_PAUSE_SECONDS


def test_a_probe_that_keeps_failing_does_not_count_as_an_untried_job() -> None:
    context = StageContext()
    context.fails(1, 2, 3)
    for _ in range(10 * QUICK_PROBES):
        context.clock.at += 1000.0
        context.fails(1)
    assert context.breaker.wait_seconds(untried_waits=True) == QUICK_PAUSE_SECONDS


def test_requests_sent_before_it_opened_do_not_count_again() -> None:
    context = StageContext()
    began_at = context.clock.at
    context.clock.at += 1.0
    context.fails(1, 2, 3)
    wait = context.breaker.wait_seconds()
    assert not context.breaker.failed([4], "503", began_at=began_at, jobs_there=9)
    assert context.breaker.wait_seconds() == wait


def test_a_retry_after_is_honored() -> None:
    context = StageContext(jitter=0.1)
    context.fails(1, 2, 3, retry_after=40.0)
    assert context.breaker.wait_seconds() == 40.0
    assert context.breaker.wait_seconds(untried_waits=True) == 40.0


def test_a_pause_is_bounded_whatever_the_service_asks_for() -> None:
    context = StageContext()
    context.fails(1, 2, 3, retry_after=1e9)
    assert context.breaker.wait_seconds() == 3600.0


def test_what_may_be_forgotten_is() -> None:
    clock = SteppedClock()
    breakers = CircuitBreakers(clock, lambda: 1.0)
    for number in range(1000):
        breakers.of(f"host{number}").begin([1])
        breakers.of(f"host{number}").end([1])
    assert len(list(breakers)) == 1
    breakers.of("dead").failed([1], "503", began_at=clock.at)
    breakers.of("other")
    assert [host for host, _ in breakers] == ["dead", "other"]
    assert breakers.problem == "503"


@pytest.mark.parametrize("jobs", [1, 10, 1000, 100_000])
def test_an_outage_of_a_day_costs_a_bounded_number_of_requests(jobs: int) -> None:
    clock, chance = SteppedClock(), random.Random(jobs)
    breaker = CircuitBreaker(clock, chance.random)
    requests, untried = 0, jobs
    while clock.at < 1000.0 + 86400.0:
        breaker.note_waiting(untried_waits=untried > 0)
        wait = breaker.wait_seconds(untried_waits=untried > 0)
        if wait or not breaker.allowed(6):
            clock.at += wait
            continue
        untried = max(0, untried - 1)
        requests += 1
        breaker.failed([jobs - untried], "503", began_at=clock.at, jobs_there=jobs)
        clock.at += 0.01
    assert requests < 86400 / 150 + 100


Event = tuple[str, int]
EVENTS = st.lists(st.tuples(st.sampled_from(["fails", "succeeds", "ends", "turns"]), st.integers(0, 12)), max_size=200)


@given(EVENTS, st.floats(0, 1))
def test_no_sequence_of_outcomes_leaves_it_shut_or_lets_a_crowd_through(events: list[Event], jitter: float) -> None:
    clock = SteppedClock()
    breaker = CircuitBreaker(clock, lambda: jitter)
    under_way: set[int] = set()
    for what, job in events:
        if what == "turns":
            clock.at += job
            continue
        if job not in under_way and breaker.allowed(6) and not breaker.wait_seconds():
            breaker.begin([job])
            under_way.add(job)
        if job not in under_way:
            continue
        if what == "fails":
            breaker.failed([job], "503", began_at=clock.at, jobs_there=3)
        elif what == "succeeds":
            breaker.succeeded([job])
        breaker.end([job])
        under_way.discard(job)
        assert 0.0 <= breaker.wait_seconds() <= 300.0
        assert breaker.wait_seconds(untried_waits=True) <= max(QUICK_PAUSE_SECONDS, 0.5)
    clock.at += 300.0
    assert breaker.wait_seconds() == 0.0
    assert breaker.allowed(6) >= 1


def test_a_request_for_many_is_halved_until_the_culprit_stands_alone() -> None:
    halving: Halving[int] = Halving()
    jobs = list(range(200))
    assert [halving.failed(jobs), halving.failed(jobs), halving.failed(jobs)] == [False, False, True]
    requests, waiting = 0, [jobs[:100], jobs[100:]]
    while waiting:
        part = waiting.pop(0)
        assert len(part) <= halving.limit(part[0], 200)
        requests += 1
        if 133 not in part:
            halving.forget(part)
        elif halving.failed(part):
            waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
    assert halving.suspects == [133]
    assert halving.limit(133, 200) == 1
    assert requests <= 16
    assert halving.leading([1, 2, 133], 200) == 2
    assert halving.leading([133, 1, 2], 200) == 1


def test_a_refusal_is_halved_at_once() -> None:
    halving: Halving[str] = Halving()
    assert halving.failed(["a", "b"], refused=True)
    assert not halving.failed(["a"], refused=True), "it stands alone"
    halving.keep({"b"})
    assert halving.suspects == ["b"]
