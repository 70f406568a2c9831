"""Work on threads per folder: what a folder that never answers affects, and what it does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from lalald.errors import FolderUnavailableError
from lalald.filesystem.mount_pools import MountPools
from tests.support.running import own_disks

DEAD, ALIVE = "/a/dead/share", "/a/disk"
SLOW_SECONDS = 0.02
PROBE_SECONDS = 1.0  # in which a thread of a busy machine must get to say that a folder is alive


class Server:
    """Of a dead share: whoever asks it something waits until it `answers`; work there until it is `done`."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.done = threading.Event()
        self.begun: list[str] = []
        self.asked = 0

    def ask(self, folder: str) -> object:
        self.asked += 1
        return folder == ALIVE or self.answers.wait()

    def work(self, name: str) -> str:
        self.begun.append(name)
        self.done.wait()
        return name


def story(steps: Callable[[Server, MountPools], Awaitable[None]], probe_seconds: float = PROBE_SECONDS) -> None:
    server = Server()

    async def scenario() -> None:
        with own_disks(slow_seconds=SLOW_SECONDS, probe_seconds=probe_seconds, probe=server.ask) as disks:
            try:
                async with asyncio.timeout(20.0):
                    await steps(server, disks)
            finally:
                server.answers.set()
                server.done.set()

    asyncio.run(scenario())


@asynccontextmanager
async def abandoned_work(server: Server, disks: MountPools, *folders: str, pieces: int = 6) -> AsyncIterator[None]:
    """More work than there are threads, all of it abandoned."""
    work = [asyncio.ensure_future(disks.run(folders, server.work, str(number))) for number in range(pieces)]
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert [type(end) for end in ends] == [FolderUnavailableError] * pieces
    yield


async def until(condition: Callable[[], object]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)  # between two looks at a condition, not in place of one


async def wait_until_resumed(disks: MountPools, folder: str) -> None:
    while True:
        with suppress(FolderUnavailableError):
            await disks.run(folder, str)
            return
        await asyncio.sleep(0)  # lets threads come back


def test_a_dead_folder_does_not_delay_other_folders() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        dead = [asyncio.ensure_future(disks.run(DEAD, server.work, str(number))) for number in range(100)]
        sent = [asyncio.ensure_future(disks.run_transfer(DEAD, server.work, "a track")) for _ in range(6)]
        between = [asyncio.ensure_future(disks.run((ALIVE, DEAD), server.work, "filed")) for _ in range(6)]
        assert await disks.run(ALIVE, str.upper, "a") == "A"
        assert await disks.run_transfer(ALIVE, str.upper, "b") == "B"
        ends = await asyncio.gather(*dead, *sent, *between, return_exceptions=True)
        assert {str(end) for end in ends} == {f"The folder {DEAD} has not answered for 1.02 seconds."}
        assert await disks.run(ALIVE, str.upper, "c") == "C"

    story(steps)


def test_a_silent_folder_refuses_at_once_and_takes_no_more_threads() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        async with abandoned_work(server, disks, DEAD):
            threads = threading.active_count()
            for _ in range(100):
                with pytest.raises(FolderUnavailableError):
                    await disks.run(DEAD, server.work, "later")
                with pytest.raises(FolderUnavailableError):
                    await disks.run_shared(DEAD, server.work)
            assert threading.active_count() == threads
            assert len(server.begun) == 4

    story(steps)


def test_slow_work_is_waited_for_while_its_folder_answers() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        server.answers.set()
        work = asyncio.ensure_future(disks.run(DEAD, server.work, "a long copy"))
        await until(lambda: server.asked > 3)
        assert not work.done()
        server.done.set()
        assert await work == "a long copy"

    story(steps, probe_seconds=10.0)


def test_a_silent_folder_is_used_again_once_it_answers_and_its_abandoned_work_has_ended() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        async with abandoned_work(server, disks, DEAD):
            server.answers.set()
            await asyncio.sleep(0.1)  # it has answered
            with pytest.raises(FolderUnavailableError):  # or the same would be done twice at once
                await disks.run(DEAD, server.work, "again")
            server.done.set()
            await wait_until_resumed(disks, DEAD)
            assert sorted(server.begun) == ["0", "1", "2", "3"], "what had not begun never does"

    story(steps)


def test_work_between_two_folders_fails_with_the_dead_one_only() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        async with abandoned_work(server, disks, ALIVE, DEAD):
            assert await disks.run(ALIVE, str.upper, "a") == "A"
            with pytest.raises(FolderUnavailableError, match=DEAD):
                await disks.run((ALIVE, DEAD), str)

    story(steps)


def test_equal_calls_share_one_result() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        looks = [asyncio.ensure_future(disks.run_shared(ALIVE, server.work)) for _ in range(10)]
        looks[0].cancel()
        await until(lambda: server.begun)
        server.done.set()
        assert await asyncio.gather(*looks[1:]) == [ALIVE] * 9
        assert server.begun == [ALIVE]

    story(steps)


def test_an_error_is_raised_in_the_caller() -> None:
    async def steps(_: Server, disks: MountPools) -> None:
        with pytest.raises(ValueError, match="not a number"):
            await disks.run(ALIVE, int, "not a number")
        for _ in range(2):
            with pytest.raises(ValueError, match="invalid"):
                await disks.run_shared("a", int)

    story(steps)


def test_cancelled_work_is_not_started() -> None:
    async def steps(server: Server, disks: MountPools) -> None:
        work = [asyncio.ensure_future(disks.run(ALIVE, server.work, str(number))) for number in range(5)]
        await until(lambda: len(server.begun) == 4)
        work[4].cancel()
        await asyncio.sleep(0)
        server.done.set()
        await asyncio.gather(*work, return_exceptions=True)
        await disks.run(ALIVE, str)
        assert sorted(server.begun) == ["0", "1", "2", "3"]

    story(steps)
