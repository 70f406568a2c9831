"""How often the service is asked, with a clock that the test turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lalald.clock import Clock
from lalald.pacing import CheckWindow, Gate


class TurnedClock(Clock):
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.stepped = 1_700_000_000.0

    def now(self) -> float:
        return self.stepped + self.at

    def monotonic(self) -> float:
        return self.at


def test_an_outage_of_a_day_costs_a_bounded_number_of_requests() -> None:
    clock = TurnedClock()
    gate = Gate(clock, jitter=lambda: 0.5)
    requests = 0
    while clock.at < 1000.0 + 86400.0:
        if gate.allowed(slots=6):
            requests += 1
            gate.failed("503", began_at=clock.at)
        clock.at += max(gate.wait_seconds, 0.01)
    assert requests < 86400 / 150 + 20  # half of the longest backoff, and the first few


def test_one_request_at_a_time_probes_a_service_that_failed() -> None:
    clock = TurnedClock()
    gate = Gate(clock, jitter=lambda: 1.0)
    assert gate.allowed(6) == 6
    assert gate.failed("503", began_at=clock.at)
    assert gate.allowed(6) == 0
    clock.at += gate.wait_seconds
    assert gate.allowed(6) == 1
    assert gate.succeeded()
    assert gate.allowed(6) == 6


def test_requests_that_left_before_the_gate_closed_tell_nothing_new() -> None:
    clock = TurnedClock()
    gate = Gate(clock, jitter=lambda: 1.0)
    began_at = clock.at
    clock.at += 1.0
    assert gate.failed("503", began_at=began_at)
    wait = gate.wait_seconds
    assert not gate.failed("503", began_at=began_at)
    assert gate.wait_seconds == wait


def test_a_retry_after_is_honoured() -> None:
    clock = TurnedClock()
    gate = Gate(clock, jitter=lambda: 0.1)
    gate.failed("429", began_at=clock.at, retry_after_seconds=40.0)
    assert gate.wait_seconds == 40.0


@given(st.integers(1, 120), st.lists(st.floats(0, 90), max_size=80))
def test_no_minute_ever_holds_more_checks_than_allowed(per_minute: int, pauses: list[float]) -> None:
    clock = TurnedClock()
    window = CheckWindow(per_minute, clock)
    sent: list[float] = []
    for pause in pauses:
        clock.at += max(pause, window.wait_seconds)
        sent.append(clock.at)
        window.sent()
    for at in sent:
        assert sum(at <= other < at + 60.0 for other in sent) <= per_minute


def test_the_window_holds_across_a_restart() -> None:
    clock = TurnedClock()
    before = CheckWindow(2, clock)
    before.sent()
    clock.at += before.wait_seconds
    remembered = before.sent()
    clock.at += 1.0
    after = CheckWindow(2, clock, remembered)
    assert after.wait_seconds > 28.0


def test_times_from_a_stepped_clock_do_not_stop_the_checks() -> None:
    clock = TurnedClock()
    window = CheckWindow(30, clock, [clock.now() + 86400.0])
    assert window.wait_seconds <= 2.1
