"""How often the service is asked, with a clock that the test turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lalald.clock import Clock
from lalald.worker.service.rate_limiter import GrowingPauses, RateLimiter, RateLimitPause


class SteppedClock(Clock):
    """Changes only when it is turned."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.stepped = 1_700_000_000.0

    def now(self) -> float:
        return self.stepped + self.at

    def monotonic(self) -> float:
        return self.at


def test_a_pause_after_429_grows_and_honors_retry_after() -> None:
    clock = SteppedClock()
    pause = RateLimitPause(clock, jitter=lambda: 1.0)
    assert pause.limited("429", began_at=clock.at, retry_after_seconds=None)
    assert pause.wait_seconds == 1.0
    clock.at += 1.0
    assert not pause.limited("429", began_at=clock.at, retry_after_seconds=None)
    assert pause.wait_seconds == 2.0
    clock.at += 2.0
    pause.limited("429", began_at=clock.at, retry_after_seconds=40.0)
    assert pause.wait_seconds == 40.0
    clock.at += 40.0
    assert pause.problem == "429"
    assert pause.succeeded(began_at=clock.at)
    assert (pause.wait_seconds, pause.problem) == (0.0, None)


def test_requests_that_left_before_a_429_neither_lengthen_nor_end_its_pause() -> None:
    clock = SteppedClock()
    pause = RateLimitPause(clock, jitter=lambda: 1.0)
    began_at = clock.at
    clock.at += 1.0
    pause.limited("429", began_at=began_at, retry_after_seconds=None)
    wait = pause.wait_seconds
    assert not pause.limited("429", began_at=began_at, retry_after_seconds=None)
    assert not pause.succeeded(began_at=began_at)
    assert pause.wait_seconds == wait


def test_each_key_pauses_for_itself_and_ever_longer() -> None:
    clock = SteppedClock()
    pauses = GrowingPauses(clock, jitter=lambda: 1.0)
    pauses.failed("a")
    pauses.failed("a")
    pauses.failed("b")
    assert (pauses.wait_seconds("a"), pauses.wait_seconds("b"), pauses.wait_seconds("c")) == (2.0, 1.0, 0.0)
    assert (pauses.times("a"), pauses.next_seconds) == (2, 1.0)
    pauses.keep({"a"})
    pauses.forget("a")
    assert pauses.next_seconds is None


@given(st.integers(1, 120), st.lists(st.tuples(st.floats(0, 90) | st.just(0.0), st.booleans()), max_size=160))
def test_no_minute_ever_holds_more_checks_than_allowed(per_minute: int, pauses: list[tuple[float, bool]]) -> None:
    clock = SteppedClock()
    window = RateLimiter(per_minute, clock)
    sent: list[float] = []
    for pause, is_urgent in pauses:
        clock.at += max(pause, window.urgent_wait_seconds if is_urgent else window.wait_seconds)
        sent.append(clock.at)
        window.sent()
    for at in sent:
        assert sum(at <= other < at + 60.0 for other in sent) <= per_minute


def test_the_window_holds_across_a_restart() -> None:
    clock = SteppedClock()
    before = RateLimiter(2, clock)
    before.sent()
    clock.at += before.wait_seconds
    remembered = before.sent()
    clock.at += 1.0
    after = RateLimiter(2, clock, remembered)
    assert after.wait_seconds > 28.0


def test_times_from_a_stepped_clock_do_not_stop_the_checks() -> None:
    clock = SteppedClock()
    window = RateLimiter(30, clock, [clock.now() + 86400.0])
    assert window.wait_seconds <= 2.1


def test_what_is_urgent_leaves_at_once_and_leaves_some_of_the_minute_to_the_others() -> None:
    clock = SteppedClock()
    window = RateLimiter(20, clock)
    urgent = 0
    while not window.urgent_wait_seconds:
        window.sent()
        urgent += 1
    assert urgent == 15
    assert window.wait_seconds == window.urgent_wait_seconds > 2.9
