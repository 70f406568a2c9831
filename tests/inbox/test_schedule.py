"""When an inbox is checked and scanned. Moments are parameters: nothing waits here."""

from __future__ import annotations

from lalald.inbox.scanning.schedule import AFTER_BURST_SECONDS, BURST_FILES, FIRST_PROBE_SECONDS, Schedule


def scanned(now: float, pause_seconds: float) -> Schedule:
    """After the first check and scan."""
    schedule = Schedule(longest_probe_seconds=10.0)
    schedule.begin_check()
    schedule.begin_scan()
    schedule.end_scan(now, pause_seconds)
    return schedule


def test_a_check_and_a_scan_are_due_at_the_start() -> None:
    schedule = Schedule(longest_probe_seconds=10.0)
    assert schedule.is_check_due(0.0, is_available=False)
    assert schedule.is_scan_due(0.0, is_available=False)


def test_the_next_scan_is_due_after_its_pause_and_only_while_the_inbox_is_available() -> None:
    schedule = scanned(now=100.0, pause_seconds=3600.0)
    assert not schedule.is_scan_due(3699.0, is_available=True)
    assert schedule.is_scan_due(3700.0, is_available=True)
    assert not schedule.is_scan_due(3700.0, is_available=False)
    assert not schedule.is_check_due(3700.0, is_available=True)
    assert schedule.next_at([], is_available=True) == 3700.0


def test_requests_are_due_at_once_until_they_begin() -> None:
    schedule = scanned(now=100.0, pause_seconds=3600.0)
    schedule.request_check_and_scan()
    assert schedule.is_check_due(100.0, is_available=True)
    assert schedule.is_scan_due(100.0, is_available=True)
    schedule.begin_check()
    schedule.begin_scan()
    assert not schedule.is_check_due(100.0, is_available=True)
    assert not schedule.is_scan_due(100.0, is_available=True)


def test_a_burst_brings_one_scan_after_five_seconds() -> None:
    schedule = scanned(now=100.0, pause_seconds=3600.0)
    schedule.note_burst(BURST_FILES - 1, 110.0)
    assert schedule.next_at([], is_available=True) == 3700.0
    schedule.note_burst(BURST_FILES, 110.0)
    schedule.note_burst(BURST_FILES, 112.0)
    assert schedule.next_at([], is_available=True) == 110.0 + AFTER_BURST_SECONDS
    assert schedule.is_scan_due(115.0, is_available=True)
    schedule.begin_scan()
    assert not schedule.is_scan_due(115.0, is_available=True)


def test_the_pauses_between_checks_of_an_unavailable_inbox_double_up_to_the_longest() -> None:
    schedule = scanned(now=0.0, pause_seconds=3600.0)
    pauses = []
    for _ in range(7):
        schedule.note_unavailable(100.0)
        pauses.append(schedule.next_at([1.0], is_available=False) - 100.0)
    assert pauses == [FIRST_PROBE_SECONDS, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    schedule.note_available()
    schedule.note_unavailable(100.0)
    assert schedule.next_at([], is_available=False) == 100.0 + FIRST_PROBE_SECONDS
    assert not schedule.is_check_due(100.4, is_available=False)
    assert schedule.is_check_due(100.5, is_available=False)


def test_after_a_failure_of_the_store_the_scan_is_tried_after_the_longest_pause() -> None:
    schedule = scanned(now=0.0, pause_seconds=3600.0)
    schedule.note_failure(100.0)
    assert schedule.is_scan_due(100.0, is_available=True)
    assert schedule.next_at([5.0], is_available=True) == 110.0


def test_waiting_files_are_due_before_the_next_scan() -> None:
    schedule = scanned(now=0.0, pause_seconds=3600.0)
    assert schedule.next_at([None, 7.0, 9.0], is_available=True) == 7.0
