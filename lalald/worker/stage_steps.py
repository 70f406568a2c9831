"""The functions that the worker runs for each step of a job. Tests pass another table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from lalald.jobs import transitions
from lalald.jobs.job import Job
from lalald.jobs.outcomes import Outcome
from lalald.stages import check, split, start_answers, start_requests
from lalald.stages.archive import archive, archive_failed
from lalald.stages.context import StageContext
from lalald.stages.delete import delete
from lalald.stages.download import download, finish_delivery
from lalald.stages.start_answers import Answer
from lalald.stages.upload import upload
from lalald.worker.checks.check_loop import CheckFunction
from lalald.worker.holds.hold_probes import ReleaseFunction
from lalald.worker.requests.job_requests import JobRequests, handle_request

StageFunction = Callable[[Job, StageContext], Awaitable[Outcome]]


StartFunction = Callable[[Sequence[Job], start_requests.StartRequest], AsyncIterator[dict[tuple[int, int], Answer]]]


@dataclass(frozen=True, slots=True)
class StageSteps:
    """An exception in any of them is the fault of the job that it was called for."""

    upload: StageFunction = upload
    prepare_split: Callable[[Job, str, StageContext], Awaitable[split.Ready | Outcome]] = split.prepare
    start: StartFunction = start_requests.start
    start_outcome: Callable[[Job, Mapping[int, Answer], StageContext, Set[int]], Outcome] = start_answers.outcome_of
    check: CheckFunction = check.outcome_of
    download: StageFunction = download
    finish_delivery: Callable[[Job, StageContext], Awaitable[None]] = finish_delivery
    delete: StageFunction = delete
    archive: StageFunction = archive
    archive_failed: Callable[[Job, StageContext], Awaitable[Job]] = archive_failed
    release: ReleaseFunction = transitions.release
    handle_request: Callable[[Job, JobRequests], Awaitable[Job | None]] = handle_request
