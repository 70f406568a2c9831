"""`on_conflict`: of sets that overwrite each other one whole set remains; results that would be skipped are not paid for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lalald import outbox
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.stages.download import download
from tests.support.delivery_process import job_at, nobody_else, staged, visible
from tests.support.running import tree
from tests.support.worker_driver import WorkerDriver, run

LABELS = [f"track {number}" for number in range(30)]


def named(root: Path, job_id: int) -> Job:
    """A job whose tracks, all with its number in them, are about to overwrite those of others."""
    job = job_at(root, labels=LABELS, job_id=job_id, on_conflict="overwrite", output="{label}.{ext}")
    return outbox.reserve(job, staged(job, lambda _: b"of job %d" % job_id), is_reserved=nobody_else)


def test_sets_that_overwrite_each_other_are_never_mixed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            for first in range(1, 40, 4):
                jobs = [named(tmp_path, job_id) for job_id in range(first, first + 4)]
                await asyncio.gather(*(download(job, driver.context) for job in jobs))
                found = visible(tmp_path / "outbox")
                assert (len(found), len(set(found.values()))) == (len(LABELS), 1)

    run(scenario())


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"it was there")


@pytest.mark.parametrize("presets", [{"stem": "vocals"}, {"stem": "vocals", "encoder_format": "mp3"}])
def test_a_file_whose_results_would_be_skipped_is_not_uploaded(tmp_path: Path, presets: dict[str, str]) -> None:
    ending = presets.get("encoder_format", "wav")

    async def scenario() -> None:
        async with WorkerDriver(tmp_path, asked=[("stem_separator", presets)], on_conflict="skip") as driver:
            put(driver.outbox / "Ep1", f"vocals.{ending}", f"no_vocals.{ending}")
            put(driver.outbox / "ep2", f"vocals.{ending}")
            await driver.drop("ep1.wav", "ep2.wav")
            skipped, carried = await driver.rest()
            assert [skipped.state, carried.state] == [State.DONE, State.DONE]
            assert "nothing was split or charged" in (skipped.warning or "")
            assert "not delivered" in (carried.warning or "")
            assert "job.skipped" in driver.journal.loud()
            assert (driver.charges().total(), driver.counts()["upload"], skipped.minutes) == (1, 1, 0.0)
            assert tree(driver.inbox) == ["done/ep1.wav", "done/ep2.wav"]

    run(scenario())


def test_results_that_exist_after_the_upload_are_not_paid(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path, on_conflict="skip") as driver:
            away = tmp_path / "away"
            driver.outbox.rename(away)
            await driver.drop("ep1.wav")
            await driver.until_job("it waits for its outbox", state=State.HELD, hold=Hold.MOUNT, stage=Stage.SPLIT)
            put(away / "ep1", "vocals.wav", "no_vocals.wav")
            away.rename(driver.outbox)
            job = await driver.until_job("it ends", state=State.DONE)
            assert "nothing was split or charged" in (job.warning or "")
            assert (driver.charges().total(), driver.counts()["delete"]) == (0, 1)

    run(scenario())
