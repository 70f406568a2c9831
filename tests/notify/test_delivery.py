"""How entries are told: in order, once, with pauses that grow, until three days have passed; what is gathered, and what is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lalald.jobs.event_kinds import EventKind
from lalald.jobs.failures.failure_kinds import FailureKind
from lalald.notify.channels.results import Failed, Refused, Result, Sent, TryLater
from lalald.notify.delivery import KEPT_SECONDS
from lalald.notify.each_event import EachEvent
from lalald.notify.gathered import Gathered
from lalald.store.events import events as written
from lalald.store.events.causes import PIECE
from tests.notify.support import Desk, Sender

DAY = 86400.0
CONVERT = "Convert it to WAV, FLAC or MP3, and drop the new file into the inbox."
DOWN = TryLater("no connection")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.close()


def each(desk: Desk, sender: Sender, *, runs_once: bool = False, problems: bool = False) -> EachEvent:
    delivery = desk.delivery(kinds=frozenset() if problems else frozenset(EventKind), problems=problems)
    return EachEvent(delivery, lambda: nullcontext(sender), runs_once=runs_once)


def gathered(desk: Desk, sender: Sender, *, names: bool = True, seconds: float = 60.0) -> Gathered:
    return Gathered(desk.delivery(kinds=frozenset(), problems=True), sender, gather_seconds=seconds, names=names)


def turn(turns: EachEvent | Gathered) -> float | None:
    return asyncio.run(turns.turn())


def until(turns: EachEvent | Gathered, desk: Desk, moment: float) -> None:
    """Turns as the loop does it, by the test's clock."""
    while desk.clock.now() < moment:
        wait = turn(turns)
        desk.clock.turn(moment - desk.clock.now() if wait is None else max(wait, 0.001))


def paths(sender: Sender) -> list[str]:
    return [event.fact.data["job"]["path"] for event in sender.given]


# each event


def test_events_are_sent_in_order_and_once_each(desk: Desk) -> None:
    sender = Sender()
    turns = each(desk, sender)
    desk.fail(*(f"{number}.mp3" for number in range(50)))
    assert turn(turns) is None
    desk.fail("last.mp3")
    assert turn(turns) is None
    assert turn(each(desk, sender)) is None  # after a restart
    assert paths(sender) == [*(f"{number}.mp3" for number in range(50)), "last.mp3"]


def test_a_receiver_that_is_down_for_two_days_gets_everything_in_order(desk: Desk) -> None:
    begin = desk.clock.now()
    sender = Sender(lambda _: Sent() if desk.clock.now() >= begin + 2 * DAY else DOWN)
    turns = each(desk, sender)
    for number in range(20):
        desk.fail(f"{number}.mp3")
        until(turns, desk, begin + (number + 1) * DAY / 10)
    until(turns, desk, begin + 2 * DAY + 600)
    assert paths(sender)[-20:] == [f"{number}.mp3" for number in range(20)]
    assert len(sender.given) < 2 * DAY / 290 + 50  # no busy loop: the pause grows to five minutes
    assert len({event.uid for event in sender.given}) == 20
    assert [facts["reason"] for facts in desk.log.said("notify.failing")] == ["no connection"]  # said once
    assert len(desk.log.said("notify.back")) == 1
    assert (desk.reader.trouble, desk.reader.dropped) == (None, 0)


def test_after_three_days_what_is_older_is_dropped_and_that_is_reported(desk: Desk) -> None:
    begin = desk.clock.now()
    turns = each(desk, Sender(lambda _: DOWN))
    desk.fail("old.mp3", "also old.mp3")
    until(turns, desk, begin + 2 * DAY)
    desk.fail("young.mp3")
    until(turns, desk, begin + KEPT_SECONDS + 600)
    assert (desk.reader.cursor, desk.reader.dropped) == (2, 2)
    assert desk.reader.dropped_reason == "tried for 3 days: no connection"
    assert [facts["events"] for facts in desk.log.said("notify.dropped")] == [2]
    sender = Sender()
    turn(each(desk, sender))
    assert paths(sender) == ["young.mp3"]


def test_a_clock_that_is_stepped_by_years_drops_nothing(desk: Desk) -> None:
    """A small computer without a clock of its own starts in the past, without a network."""
    turns = each(desk, Sender(lambda number: Sent() if number else DOWN))
    desk.fail("a.mp3")
    turn(turns)
    desk.clock.turn(400 * DAY)
    turn(turns)
    assert (desk.reader.cursor, desk.reader.dropped) == (1, 0)


def test_what_is_refused_is_dropped_alone(desk: Desk) -> None:
    sender = Sender(lambda number: Refused("it answered 413") if number == 1 else Sent())
    desk.fail("a.mp3", "b.mp3", "c.mp3")
    turn(each(desk, sender))
    assert paths(sender) == ["a.mp3", "b.mp3", "c.mp3"]
    assert (desk.reader.dropped, desk.reader.dropped_reason, desk.reader.cursor) == (1, "it answered 413", 3)


@pytest.mark.parametrize("way", ["each", "gathered"])
def test_a_receiver_that_refuses_is_no_longer_said_to_be_out_of_reach(desk: Desk, way: str) -> None:
    sender = Sender(lambda number: Refused("it answered 410") if number else DOWN)
    turns = each(desk, sender) if way == "each" else gathered(desk, sender, seconds=0.0)
    desk.fail("a.mp3")
    turn(turns)
    assert (desk.reader.trouble, desk.reader.failing_since) == ("no connection", desk.clock.now())
    desk.clock.turn(DAY)
    turn(turns)
    assert (desk.reader.trouble, desk.reader.failing_since) == (None, None)
    assert (desk.reader.dropped_reason, desk.log.said("notify.back")) == ("it answered 410", [])


def test_a_receiver_says_when_to_come_again(desk: Desk) -> None:
    desk.fail("a.mp3")
    assert turn(each(desk, Sender(lambda _: TryLater("it answered 503", 120.0)))) == 120


def test_a_failed_command_is_reported_and_the_next_one_runs(desk: Desk) -> None:
    sender = Sender(lambda number: Sent() if number else Failed("exit code 3"))
    desk.fail("a.mp3")
    turns = each(desk, sender, runs_once=True)
    turn(turns)
    assert (desk.reader.cursor, desk.reader.trouble) == (1, "exit code 3")
    assert len(desk.log.said("notify.command_failed")) == 1
    desk.fail("b.mp3")
    turn(turns)
    assert (desk.reader.cursor, desk.reader.trouble, len(sender.given)) == (2, None, 2)


class Killed(BaseException):
    """The process ends here."""


def killed(_number: int) -> Result:
    raise Killed


@pytest.mark.parametrize("runs_once", [False, True])
def test_what_was_sent_but_not_recorded_is_sent_once_more_under_the_same_id(desk: Desk, runs_once: bool) -> None:
    first, second = Sender(killed), Sender()
    desk.fail("a.mp3")
    with pytest.raises(Killed):
        turn(each(desk, first, runs_once=runs_once))
    desk.reopen()
    turn(each(desk, second, runs_once=runs_once))
    desk.reopen()
    turn(each(desk, second, runs_once=runs_once))
    assert [event.uid for event in second.given] == [event.uid for event in first.given]


def unable(_number: int) -> Result:
    return TryLater("the program cannot be run: its disk does not answer")


def test_a_command_that_takes_the_daemon_with_it_is_run_twice_and_no_more(desk: Desk) -> None:
    """What could not begin in between counts neither as a run nor as a new beginning."""
    desk.fail("a.mp3", "b.mp3")
    runs = []
    for answer in (killed, unable, unable, killed):
        sender = Sender(answer)
        with suppress(Killed):
            turn(each(desk, sender, runs_once=True))
        runs += paths(sender) if answer is killed else []
        desk.reopen()
    assert desk.reader.dropped == 0
    sender = Sender()
    turn(each(desk, sender, runs_once=True))
    assert (runs, paths(sender)) == (["a.mp3", "a.mp3"], ["b.mp3"])
    assert desk.reader.dropped_reason == "it was cut off twice by the end of the daemon"


def test_events_that_the_limit_took_away_are_reported(desk: Desk) -> None:
    desk.fail("a.mp3")
    sequence = written.MOST_EVENTS + 999
    desk.store.connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", (sequence,))
    sender = Sender()
    desk.fail("b.mp3")
    turn(each(desk, sender))
    assert paths(sender) == ["b.mp3"]
    assert desk.reader.dropped == sequence
    assert len(desk.log.said("notify.dropped")) == 1


def test_events_that_an_entry_does_not_want_move_its_cursor(desk: Desk) -> None:
    """Else they would count as unsent, and be kept."""
    desk.store.connection.execute("BEGIN")
    desk.finish(*(f"{number}.mp3" for number in range(600)))
    desk.store.connection.execute("COMMIT")
    sender = Sender()
    turn(each(desk, sender, problems=True))
    assert (sender.given, desk.reader.cursor, desk.reader.dropped) == ([], 600, 0)


def test_nor_do_events_that_messages_are_not_about(desk: Desk) -> None:
    desk.store.connection.execute("BEGIN")
    desk.finish(*(f"{number}.mp3" for number in range(600)))
    desk.store.connection.execute("COMMIT")
    sender = Sender()
    assert turn(gathered(desk, sender)) is None
    assert (sender.given, desk.reader.cursor) == ([], 600)


@pytest.mark.parametrize("way", ["each", "gathered"])
def test_one_event_that_cannot_be_sent_keeps_back_no_others_for_ever(desk: Desk, way: str) -> None:
    """An exception of our own, for example: it is tried a few times, then dropped, and that is reported."""

    def broken(given: Any) -> bool:
        return "poison" in (given.body if way == "gathered" else str(given.fact.data))

    class Poisoned(Sender):
        async def __call__(self, given: Any) -> Result:
            self.given.append(given)
            if broken(given):
                raise UnicodeError("its words may be secret")
            return Sent()

    desk.fail("poison.mp3", error="poison")
    desk.fail("a.mp3", kind=FailureKind.TOO_LARGE)
    desk.clock.turn(60)
    sender = Poisoned()
    turns = gathered(desk, sender) if way == "gathered" else each(desk, sender)
    for _ in range(4):
        with pytest.raises(UnicodeError):
            turn(turns)
    turn(turns)
    assert [broken(given) for given in sender.given] == [True] * 5 + [False]
    assert (desk.reader.dropped, desk.reader.cursor) == (1, 2)
    assert desk.reader.dropped_reason == "an unexpected error, 5 times: UnicodeError"


def test_messages_that_the_limit_took_away_are_reported_too(desk: Desk) -> None:
    desk.fail("a.mp3")
    sequence = written.MOST_EVENTS + 999
    desk.store.connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", (sequence,))
    desk.fail("b.mp3")
    desk.clock.turn(60)
    sender = Sender()
    turns = gathered(desk, sender)
    assert turn(turns) == 0
    turn(turns)
    assert [message.title for message in sender.given] == ["lalald: b.mp3 failed"]
    assert (desk.reader.dropped, desk.reader.dropped_reason) == (sequence, "the limit of kept events was reached")


# messages


def test_2500_failures_of_one_cause_in_a_minute_are_one_message(desk: Desk) -> None:
    sender = Sender()
    turns = gathered(desk, sender)
    desk.fail(*(f"{number}.mp3" for number in range(2500)))
    assert turn(turns) == 60
    desk.clock.turn(59)
    assert turn(turns) == 1
    desk.clock.turn(1)
    assert turn(turns) == 0
    assert turn(turns) is None
    (message,) = sender.given
    assert message.title == "lalald: 2,500 files failed"
    assert message.body.splitlines() == [
        "no audio in it", *(f"• {number}.mp3" for number in range(10)), "and 2,490 more",
        "Charged so far: nothing.", f"`lalald jobs --failed` lists them. {CONVERT} Trying these files again will not help.",
    ]  # fmt: skip


def test_each_cause_has_its_own_message_and_too_many_become_one(desk: Desk) -> None:
    sender = Sender()
    for kind in (FailureKind.TOO_LARGE, FailureKind.TOO_LONG):
        desk.fail(f"{kind} 1.mp3", f"{kind} 2.mp3", kind=kind)
    desk.clock.turn(60)
    turn(gathered(desk, sender))
    assert [message.title for message in sender.given] == ["lalald: 2 files failed"] * 2
    for number in range(30):
        desk.store.folders.set_folder(f"/folder {number}", marker=None, reason="gone", now=desk.clock.now())
    desk.clock.turn(60)
    turn(gathered(desk, sender))
    assert len(sender.given) == 2 + 12 + 1
    assert sender.given[-1].title == "lalald: 18 more events"


def test_thousands_of_causes_cost_no_more_questions_than_a_dozen(desk: Desk) -> None:
    """The store's only thread asks: each cause once cost a scan of all events."""
    for number in range(300):
        desk.store.folders.set_folder(f"/folder {number}", marker=None, reason="gone", now=desk.clock.now())
    desk.clock.turn(60)
    asked = _questions(desk, gathered(desk, Sender()))
    assert len([statement for statement in asked if " FROM events e " in statement]) < 20


def test_a_great_many_events_are_read_in_pieces_and_counted_together(desk: Desk) -> None:
    """Between two pieces the store's thread does other work: in one they took it for half a second."""
    rows = [(f"job {number}", "failed", "job.failed", desk.clock.now()) for number in range(3 * PIECE)]
    desk.store.connection.execute("BEGIN")
    desk.store.connection.executemany(
        "INSERT INTO events (subject, cause, kind, at, count, is_problem, data)"
        """ VALUES (?, ?, ?, ?, 1, 1, '{"error": "no audio in it", "job": {"id": 1, "path": "a.mp3", "minutes": 0.5}}')""",
        rows,
    )
    desk.store.connection.execute("COMMIT")
    desk.clock.turn(60)
    sender = Sender()
    asked = _questions(desk, gathered(desk, sender))
    assert [message.title for message in sender.given] == [f"lalald: {len(rows):,} files failed"]
    assert f"Charged so far: {len(rows) / 2:,.1f} min." in sender.given[0].body
    pieces = [place for place, statement in enumerate(asked) if "GROUP BY e.cause" in statement]
    assert len(pieces) == 3
    assert all("COMMIT" in asked[one:other] for one, other in pairwise(pieces))


def _questions(desk: Desk, turns: Gathered) -> list[str]:
    """The statements of one turn."""
    asked: list[str] = []
    desk.store.connection.set_trace_callback(asked.append)
    turn(turns)
    desk.store.connection.set_trace_callback(None)
    return asked


def test_without_names_no_name_leaves_the_house(desk: Desk) -> None:
    sender = Sender()
    desk.fail("secret song.mp3", error="secret song.mp3 has no audio")
    desk.store.folders.set_folder("/secret", marker=None, reason="/secret is away", now=desk.clock.now())
    desk.clock.turn(60)
    turn(gathered(desk, sender, names=False))
    assert [message.title for message in sender.given] == ["lalald: 1 file failed", "lalald: A folder is unavailable"]
    assert "secret" not in str(sender.given)


def test_conditions_that_end_while_the_receiver_is_down_are_not_sent(desk: Desk) -> None:
    begin = desk.clock.now()
    sender = Sender(lambda _: Sent() if desk.clock.now() > begin + DAY else DOWN)
    turns = gathered(desk, sender)
    desk.store.folders.set_folder("/out", marker=None, reason="gone", now=begin)
    until(turns, desk, begin + 3600)
    desk.store.folders.set_folder("/out", marker=None, reason=None, now=desk.clock.now())
    desk.fail("a.mp3")
    until(turns, desk, begin + DAY + 3600)
    delivered = [
        message.title for number, message in enumerate(sender.given) if isinstance(sender.answer(number), Sent)
    ]
    assert delivered[-1:] == ["lalald: a.mp3 failed"]
    assert sender.given[-1].title == "lalald: a.mp3 failed"
    assert desk.reader.cursor == 3


def test_a_kill_between_two_messages_repeats_none_that_was_recorded(desk: Desk) -> None:
    for kind in (FailureKind.TOO_LARGE, FailureKind.TOO_LONG, FailureKind.REFUSED):
        desk.fail(f"{kind}.mp3", kind=kind, error=str(kind))

    def answer(number: int) -> Result:
        if number == 1:
            raise Killed
        return Sent()

    first, second = Sender(answer), Sender()
    desk.clock.turn(60)
    with pytest.raises(Killed):
        turn(gathered(desk, first))
    desk.reopen()
    desk.fail(
        "later.mp3", kind=FailureKind.TOO_LARGE, error="later"
    )  # belongs to the next message, not to the one that was sent
    turn(gathered(desk, second))
    output = [message.body.splitlines()[0] for message in (*first.given[:1], *second.given)]
    assert output == ["too_large", "too_long", "refused"]
    desk.clock.turn(60)
    turn(gathered(desk, second))
    assert second.given[-1].title == "lalald: later.mp3 failed"


def test_a_kill_before_a_message_is_recorded_repeats_it_as_it_was(desk: Desk) -> None:
    first, second = Sender(killed), Sender()
    desk.fail("a.mp3", "b.mp3")
    desk.clock.turn(60)
    with pytest.raises(Killed):
        turn(gathered(desk, first))
    desk.reopen()
    desk.fail("later.mp3")
    turn(gathered(desk, second))
    assert second.given == first.given
    desk.clock.turn(60)
    turn(gathered(desk, second))
    assert [message.title for message in second.given[1:]] == ["lalald: later.mp3 failed"]


def test_a_message_that_could_not_be_sent_is_about_what_has_happened_until_the_next_try(desk: Desk) -> None:
    sender = Sender(lambda number: Sent() if number else DOWN)
    turns = gathered(desk, sender)
    desk.fail("a.mp3")
    desk.clock.turn(60)
    wait = turn(turns)
    desk.fail("b.mp3")
    desk.clock.turn(wait or 0.0)
    turn(turns)
    assert [message.title for message in sender.given] == ["lalald: a.mp3 failed", "lalald: 2 files failed"]


def test_a_message_that_is_refused_is_dropped_and_the_others_go_out(desk: Desk) -> None:
    for kind in (FailureKind.TOO_LARGE, FailureKind.TOO_LONG):
        desk.fail(f"{kind}.mp3", kind=kind)
    sender = Sender(lambda number: Sent() if number else Refused("it answered 403"))
    desk.clock.turn(60)
    turn(gathered(desk, sender))
    assert (len(sender.given), desk.reader.dropped, desk.reader.cursor) == (2, 1, 2)


def test_a_refused_message_about_many_counts_them_all(desk: Desk) -> None:
    desk.fail(*(f"{number}.mp3" for number in range(25)))
    desk.clock.turn(60)
    turn(gathered(desk, Sender(lambda _: Refused("it answered 403"))))
    assert (desk.reader.dropped, desk.reader.cursor) == (25, 25)


def test_a_clock_set_back_keeps_no_message_for_years(desk: Desk) -> None:
    desk.fail("a.mp3")
    desk.clock.turn(-400 * DAY)
    sender = Sender()
    turn(gathered(desk, sender))
    assert len(sender.given) == 1
