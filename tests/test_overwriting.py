"""on_conflict: overwrite. Of several sets with the same names one is left, whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

from carried import job_at, nobody_else, staged, visible
from carrying import Workshop, run
from lalald import outbox
from lalald.jobs import Job
from lalald.stages.download import download

LABELS = [f"track {number}" for number in range(30)]


def named(root: Path, job_id: int) -> Job:
    """A job whose tracks, all with its number in them, are about to overwrite those of others."""
    job = job_at(root, labels=LABELS, job_id=job_id, on_conflict="overwrite", output="{label}.{ext}")
    return outbox.reserve(job, staged(job, lambda _: b"of job %d" % job_id), reserved=nobody_else)


def test_sets_that_overwrite_each_other_are_never_mixed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Workshop(tmp_path) as shop:
            for first in range(1, 40, 4):
                jobs = [named(tmp_path, job_id) for job_id in range(first, first + 4)]
                await asyncio.gather(*(download(job, shop.bench) for job in jobs))
                found = visible(tmp_path / "outbox")
                assert (len(found), len(set(found.values()))) == (len(LABELS), 1)

    run(scenario())
