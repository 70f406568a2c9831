"""Any 64-bit time or inode number is accepted."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lalald.filesystem.file_numbers import int64, is_same_time
from lalald.inbox.readiness import Settling
from lalald.jobs.states import State
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts, mount_disk
from tests.support.running import Home, tree, until, write_wav
from tests.support.worker_driver import WorkerDriver, run

SECOND_NS = 10**9
MOMENTS = {  # seconds since 1970
    "year 1": -62_135_596_800,
    "before 1970": -1,
    "1901": -(2**31) - 1,
    "2262": 9_223_372_037,
    "2400": 13_569_465_600,
    "year 9999": 253_402_300_799,
    "as far as a kernel counts": 2**62,
}


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), -(2**63) - 1, 2**80 + 5])
def test_any_number_fits_into_the_store_and_stays_the_same(number: int) -> None:
    folded = int64(number)
    assert (folded - number) % 2**64 == 0
    assert int64(folded) == folded
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute("SELECT ?", (folded,)).fetchone() == (folded,)


def test_a_time_that_a_file_system_cuts_off_is_the_same_time() -> None:
    year_2400, year_1900 = MOMENTS["2400"] * SECOND_NS, -2_208_988_800 * SECOND_NS
    year_2024, year_2025 = 1_704_067_200 * SECOND_NS, 1_735_689_600 * SECOND_NS
    assert is_same_time((2**31 - 1) * SECOND_NS, int64(year_2400))
    assert is_same_time(315_532_800 * SECOND_NS, year_1900)  # 1980
    assert is_same_time(year_2024 + 2 * SECOND_NS, year_2024)
    assert not is_same_time(year_2024, year_2025)
    assert not is_same_time(year_2024, int64(year_2400))


def odd_files(inbox: Path, pitch: float = 300.0) -> list[str]:
    """A file for each of the moments, set before it gets its name."""
    names = []
    for number, seconds in enumerate(MOMENTS.values()):
        write_wav(making := inbox / ".making.wav", seconds=0.1, pitch=pitch + number)
        os.utime(making, (seconds, seconds))
        making.rename(inbox / f"{pitch:g} {number}.wav")
        names.append(f"{pitch:g} {number}.wav")
    return names


def done(home: Home, count: int) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = until(
        lambda: len(found := home.jobs()) == count and all(job["state"] == "done" for job in found) and found,
        f"{count} jobs are done",
    )
    return jobs


def story_of_odd_numbers(root: Path, sandbox: Sandbox) -> None:
    """The inbox keeps any time; failed files go to a disk that cuts such times off."""
    mount_disk(root, "64m")
    failed_dir = root.with_name("failed")
    failed_dir.mkdir()
    url = sandbox.url
    home = Home(root / "home", url, inbox={"existing": "take", "failed_dir": str(failed_dir), "on_success": "keep"})
    try:
        names = odd_files(home.inbox)
        home.start()
        done(home, len(names))
        assert home.stop() == 0
        home.start()  # what is known is known after a restart
        more = odd_files(home.inbox, pitch=500.0)
        done(home, 2 * len(names))
        paths = [str(home.inbox / name) for name in names + more]
        explained = json.loads(home.command("explain", "--json", *paths).stdout)
        assert [(one["path"], one["taken"], one["state"]) for one in explained] == [
            (path, True, "done") for path in paths
        ]
        for words in (["plan"], ["plan", "--json"], ["show", "1"], ["show", "1", "--json"], ["status"], ["jobs"]):
            scenario = home.command(*words)
            assert scenario.returncode == 0, scenario.stderr

        sandbox.faults({"operation": "upload", "kind": "status", "status": 422, "count": len(names)})
        again = odd_files(home.inbox, pitch=700.0)
        lie = sorted(path for name in again for path in (name, f"{name}.error.txt"))
        until(lambda: tree(failed_dir) == lie, "they failed, each with its note")
        assert [job["id"] for job in home.jobs() if job["state"] == "failed"] == [*range(15, 22)]
        for name in again:  # dragged back across file systems, as a person does
            shutil.move(failed_dir / name, hidden := home.inbox / f".{name}")
            hidden.rename(home.inbox / name)
        assert [job["id"] for job in done(home, 3 * len(names))][-7:] == [*range(15, 22)]
        assert tree(failed_dir) == []
        assert home.stop() == 0
    finally:
        if home.process is not None:
            home.kill()


def test_files_with_any_time_are_processed_and_recognized(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options(processing_seconds=0.1)) as sandbox:
            story_of_odd_numbers(tmp_path / "disk", sandbox)

    in_own_mounts(story)


def test_inode_numbers_beyond_63_bits_are_numbers_like_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Share(tmp_path / "inbox", inodes_from=2**63 + 2**62) as share:
            async with WorkerDriver(tmp_path) as driver:
                driver.sandbox.faults("upload:422*1")
                await driver.drop("fails.wav")
                (failed,) = await driver.rest()
                assert (share.folder / "failed/fails.wav").stat().st_ino - 2**64 == failed.inode
                (share.folder / "failed/fails.wav").rename(share.folder / "again.wav")
                settling = Settling(str(share.folder), 0.0, leases_reliable=False, unreliable_seconds=0.0)
                (finished,) = settling.inspect(["again.wav"], 0.0).ready
                (known,) = await driver.store.run(
                    lambda store: store.possible_returns(str(share.folder), finished.size)
                )
                assert (known.inode, known.mtime_ns) == (finished.inode, finished.mtime_ns)
                await driver.drop("good.wav")
                job = await driver.until_job("it is done", 2, state=State.DONE)
                assert job.moved_to == str(share.folder / "done/good.wav")
                assert job.warning is None

    in_own_mounts(lambda: run(scenario()))
