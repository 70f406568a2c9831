"""The notifier with all its entries, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lalald.notify.notifier import Notifier
from tests.notify.support import Desk, entry
from tests.support.receiver import Answer, receiving


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
