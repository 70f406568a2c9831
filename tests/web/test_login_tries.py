"""How often a password may be tried, by a clock that also goes back."""

from __future__ import annotations

from lalald.web.access.login_tries import ALL_TRIES, LoginTries

ADDRESS = "203.0.113.9"


def test_a_clock_that_is_set_back_grants_no_try_and_locks_nobody_out_until_it_is_there_again() -> None:
    clock = [1_900_000_000.0]
    tries = LoginTries(lambda: clock[0])
    for _ in range(10):
        clock[0] += 1.0
        tries.count(ADDRESS, is_known_device=False, is_wrong=True)
    for _ in range(3):
        clock[0] -= 86400.0
        assert tries.wait_seconds(ADDRESS, is_known_device=False) > 0.0
        assert tries.wait_seconds("198.51.100.7", is_known_device=False) == 0.0
    clock[0] += 10.0
    assert tries.wait_seconds(ADDRESS, is_known_device=False) == 0.0


def test_counts_that_are_handed_on_stay_as_they_were() -> None:
    kept: dict[str, list[float]] = {}
    clock = [1_000.0]
    first = LoginTries(lambda: clock[0], kept.update)
    for _ in range(10):
        first.count(ADDRESS, is_known_device=True, is_wrong=True)
    second = LoginTries(lambda: clock[0])
    second.restore(kept)
    assert second.wait_seconds(ADDRESS, is_known_device=True) == 10.0


def test_all_together_have_ten_a_second_and_a_known_browser_does_not_count() -> None:
    clock = [1_000.0]
    tries = LoginTries(lambda: clock[0])
    for number in range(int(ALL_TRIES)):
        tries.count(f"198.51.100.{number}", is_known_device=False, is_wrong=False)
    assert tries.wait_seconds(ADDRESS, is_known_device=False) > 0.0
    assert tries.wait_seconds("device 1", is_known_device=True) == 0.0
