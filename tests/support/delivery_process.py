"""Jobs for tests of delivery, and a process that runs one to its end or is killed on the way."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lalald import outbox
from lalald.archive.archiving import archive_failed_source, archive_source
from lalald.jobs.job import Job, JobSettings
from lalald.jobs.states import Stage, State, TaskFailure
from lalald.jobs.task import Task, Track
from lalald.outbox.staging import make_staging, save_record

CREATED_AT = 1_700_000_000.0


def settings(root: Path, **changes: Any) -> JobSettings:
    facts: dict[str, Any] = {
        "outbox": str(root / "outbox"),
        "output": "{dir}/{name}/{label}.{ext}",
        "on_conflict": "rename",
        "duplicates": "reuse",
        "tracks": None,
        "labels": {},
        "delete": True,
        "manifest": False,
        "on_success": "move",
        "done_dir": "done",
        "on_failure": "move",
        "failed_dir": "failed",
    }
    return JobSettings(**{**facts, **changes})


def job_at(
    root: Path,
    path: str = "podcasts/ep1.mp3",
    labels: Iterable[str] = ("voice", "no_voice"),
    job_id: int = 7,
    content: bytes = b"the source",
    **changes: Any,
) -> Job:
    """A job whose tracks are ready to be delivered; its source lies in `root/inbox`."""
    source = root / "inbox" / path
    source.parent.mkdir(parents=True, exist_ok=True)
    (root / "outbox").mkdir(exist_ok=True)
    if not source.exists():
        source.write_bytes(content)
    facts = source.stat()
    tracks = tuple(Track(type="stem", label=label, url="https://example.org/t") for label in labels)
    task = Task(1, None, "voice_clean", {}, Stage.DOWNLOAD, task_id="t-1", minutes=3.5, tracks=tracks)
    return Job(
        id=job_id,
        revision=1,
        inbox=str(root / "inbox"),
        path=path,
        size=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        inode=facts.st_ino,
        rule="podcasts",
        settings=settings(root, **changes),
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
        stage=Stage.DOWNLOAD,
        minutes=3.5,
        tasks=(task,),
    )


def content_of(label: str) -> bytes:
    return f"track {label} ".encode() * 200_000  # more than one chunk of a copy


def staged(job: Job, contents: Callable[[str], bytes] = content_of) -> dict[tuple[int, int], outbox.Staged]:
    """Every wanted track that is not delivered, whole in the staging folder."""
    make_staging(job)
    for task in job.tasks:
        for index, track in enumerate(task.tracks):
            if track.wanted and not track.delivered:
                path, content = outbox.staged_path(job, task.number, index), contents(track.label)
                Path(path).write_bytes(content)
                save_record(path, outbox.Staged(len(content), hashlib.sha256(content).hexdigest()))
    return outbox.staged_tracks(job)


def done(job: Job) -> Job:
    """The job with nothing owed but its source's place."""
    tasks = tuple(
        replace(task, stage=Stage.DONE, tracks=tuple(replace(track, delivered=True) for track in task.tracks))
        for task in job.tasks
    )
    return replace(job, tasks=tasks, stage=Stage.ARCHIVE)


def failed(job: Job, error: str = "task 1 (voice_clean): Unable to detect voice/vocals in the uploaded files") -> Job:
    task = replace(job.tasks[0], stage=Stage.CHECK, error=error, failure=TaskFailure.FAILED, tracks=())
    return replace(job, tasks=(task,), state=State.FAILED, error=error, archived=False)


def nobody_else(_folded_path: str) -> bool:
    return False


def delivered(job: Job, contents: Callable[[str], bytes] = content_of) -> Job:
    """The whole way, without an accident."""
    placed = outbox.place(outbox.reserve(job, staged(job, contents), is_reserved=nobody_else))
    outbox.clear(placed)
    return placed


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(folder: Path) -> dict[str, bytes]:
    """What a person sees who ignores hidden files and folders."""
    return {
        name: content for name, content in tree(folder).items() if not any(p.startswith(".") for p in name.split("/"))
    }


def hidden(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith(".")]


class CrashPoint:
    """Counts changes on disk, and ends the process after one of them."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.count = 0

    def __call__(self, _done: str) -> None:
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Row:
    """The job as saved."""

    def __init__(self, root: Path, crash_point: CrashPoint) -> None:
        self.path = root / "row"
        self.crash_point = crash_point

    def load(self) -> Job:
        job = pickle.loads(self.path.read_bytes())
        assert isinstance(job, Job)
        return job

    def save(self, job: Job) -> Job:
        self.path.with_suffix(".new").write_bytes(pickle.dumps(job))
        self.path.with_suffix(".new").replace(self.path)
        self.crash_point("saved")
        return job


def deliver(row: Row, crash_point: CrashPoint) -> None:
    """What the worker does with a job that owes its download, once the tracks are fetched."""
    job = row.load()
    while any(not track.delivered for task in job.tasks for track in task.tracks):
        try:
            if any(track.path is None for task in job.tasks for track in task.tracks if not track.delivered):
                job = row.save(outbox.reserve(job, outbox.staged_tracks(job), is_reserved=nobody_else))
            job = row.save(outbox.place(job, crash_point=crash_point))
        except outbox.NameTakenError:
            job = row.save(outbox.without_names(job))
    outbox.clear(job)
    crash_point("cleared")


def file_away(row: Row, crash_point: CrashPoint) -> None:
    """What the worker does with a job whose results are delivered, or that failed."""
    job = row.load()
    if not job.archived:
        filed = (
            archive_failed_source(job, crash_point=crash_point)
            if job.state is State.FAILED
            else archive_source(job, crash_point=crash_point)
        )
        row.save(filed)


def start(root: Path, job: Job) -> None:
    """Saves the job that a later `carry` takes up."""
    Row(root, CrashPoint(0)).save(job)


def carry(function: Callable[[Row, CrashPoint], None], root: Path, kill_at: int = 0) -> bool:
    """Runs the function in a process of its own, which kills itself after its `kill_at`-th change on disk (0: never).

    Whether it came to its end; what goes wrong in it goes wrong here.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, such as those of a test runner: the child uses nothing of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        code = 1
        try:
            killer = CrashPoint(kill_at)
            function(Row(root, killer), killer)
            code = 0
        except BaseException:  # noqa: BLE001 - the child's end, whatever it is, is told by its exit code
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), "see the traceback above"
    return os.waitstatus_to_exitcode(status) == 0


def saved(root: Path) -> Job:
    return Row(root, CrashPoint(0)).load()
