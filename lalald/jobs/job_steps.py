"""What a job does in each stage, and what happened to it when: the same words on the command line and on the page. Pure."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from lalald.filesystem.names import printable
from lalald.jobs.job import Job
from lalald.jobs.states import Stage

DOING: dict[Stage, str] = {
    Stage.UPLOAD: "uploading", Stage.SPLIT: "starting", Stage.CHECK: "processing", Stage.DOWNLOAD: "downloading",
    Stage.DELETE: "finishing", Stage.ARCHIVE: "finishing",
}  # fmt: skip


class Step(NamedTuple):
    """`code`: a word for programs. `task`: the title of the task it is about."""

    code: str
    words: str
    at: float
    task: str | None


def steps(job: Job) -> list[Step]:
    """In the order of time; the steps of earlier attempts are not kept."""
    known = [
        ("dropped", "dropped", job.created_at, None),
        ("uploaded", "uploaded", job.uploaded_at, None),
        *(("started", f"task {printable(task.title)} started", task.started_at, task.title) for task in job.tasks),
        ("delivered", "delivered", job.delivered_at, None),
        ("deleted", "deleted on the service", job.source_deleted_at, None),
        ("finished", "finished", job.finished_at, None)
        if job.finished_at is not None
        else ("changed", "last change", job.updated_at, None),
    ]
    listed = [Step(code, words, at, task) for code, words, at, task in known if at is not None]
    return sorted(listed, key=itemgetter(2))
