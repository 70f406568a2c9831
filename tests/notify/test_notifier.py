"""The notifier with all its entries, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lalald.notify.notifier import Notifier
from tests.notify.support import Desk, entry
from tests.support.receiver import Answer, receiving
from tests.support.running import until


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path / "desk")
    yield found
    found.close()


def test_a_program_that_ends_waits_for_its_commands_and_for_no_receiver_that_hangs(desk: Desk, tmp_path: Path) -> None:
    """Else a `run --once` of cron would cut off a long command each time, until it was dropped."""
    tmp_path.chmod(0o755)
    program = tmp_path / "hook.sh"
    program.write_text(f"#!/bin/sh\nsleep 0.5\necho $LALALD_EVENT >> {tmp_path}/ran\n")
    program.chmod(0o755)
    with receiving() as receiver:
        receiver.hang()
        entries = [entry(name="command", command=(str(program),)), entry(name="hook", webhook=receiver.url)]
        notifier = Notifier(desk, desk.around, desk.log)

        async def ends() -> None:
            await notifier.configure(entries, page=False)
            desk.fail("a.mp3", "b.mp3")
            await notifier.finish(0.1)

        asyncio.run(ends())
    assert (tmp_path / "ran").read_text() == "job.failed\n" * 2
    assert desk.log.said("notify.dropped") == []


def test_an_entry_that_a_reload_renames_starts_over_and_what_it_had_not_sent_is_reported_once(desk: Desk) -> None:
    with receiving(lambda _: Answer(500)) as receiver:
        notifier = Notifier(desk, desk.around, desk.log)

        async def renamed() -> None:
            await notifier.configure([entry(name="hook", webhook=receiver.url)], page=False)
            desk.fail("a.mp3", "b.mp3")
            await notifier.finish(0.5)
            receiver.answer = lambda _: Answer(200)
            for _ in range(2):
                await notifier.configure([entry(name="new", webhook=receiver.url)], page=False)
            receiver.requests.clear()
            desk.fail("c.mp3")
            await notifier.finish(20.0)

        asyncio.run(renamed())
    assert [(said["entry"], said["unsent_events"]) for said in desk.log.said("notify.entry_removed")] == [("hook", 2)]
    assert [request.json["data"]["job"]["path"] for request in receiver.requests] == ["c.mp3"]


def test_a_reload_that_changes_an_entry_cuts_off_nothing_that_it_delivers(desk: Desk, tmp_path: Path) -> None:
    """Two reloads killed a command twice and dropped its event; a webhook was sent once for each."""
    tmp_path.chmod(0o755)
    program, goes_on = tmp_path / "hook.sh", tmp_path / "goes_on"
    program.write_text(
        f"#!/bin/sh\necho $LALALD_EVENT >> {tmp_path}/ran\nuntil [ -e {goes_on} ]; do sleep 0.02; done\n"
    )
    program.chmod(0o755)
    with receiving() as receiver:
        receiver.hang()
        notifier = Notifier(desk, desk.around, desk.log)

        async def reload(seconds: float) -> None:
            entries = [
                entry(name="command", command=(str(program),), timeout=seconds),
                entry(name="hook", webhook=receiver.url, timeout=seconds),
            ]
            await notifier.configure(entries, page=False)

        async def changes() -> None:
            await reload(600.0)
            looks = asyncio.create_task(notifier.run())
            desk.fail("a.mp3")
            notifier.wake()
            await asyncio.to_thread(
                until, lambda: (tmp_path / "ran").exists() and receiver.requests, "both are under way"
            )
            for seconds in (601.0, 602.0, 603.0):
                await reload(seconds)
            goes_on.touch()
            receiver.let_go()
            desk.fail("b.mp3")
            await notifier.finish(20.0)
            looks.cancel()
            await asyncio.wait({looks})

        asyncio.run(changes())
    assert (tmp_path / "ran").read_text() == "job.failed\n" * 2
    assert [request.json["data"]["job"]["path"] for request in receiver.requests] == ["a.mp3", "b.mp3"]
    assert desk.log.said("notify.dropped") == []


def test_a_reload_that_removes_an_entry_ends_what_it_delivers(desk: Desk) -> None:
    with receiving() as receiver:
        receiver.hang()
        notifier = Notifier(desk, desk.around, desk.log)

        async def removed() -> list[str]:
            looks = asyncio.create_task(notifier.run())
            for names in (True, False):  # the second one waits for the first
                await notifier.configure([entry(name="hook", webhook=receiver.url, names=names)], page=False)
                desk.fail(f"{names}.mp3")
                notifier.wake()
                await asyncio.to_thread(until, lambda: receiver.requests, "the first request")
            await notifier.configure([], page=False)
            looks.cancel()
            await asyncio.wait({looks})
            return [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}]

        assert asyncio.run(removed()) == []
    assert len(receiver.requests) == 1
