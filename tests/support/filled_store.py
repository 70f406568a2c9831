"""A state folder with a job in every state, as the daemon would have left it: what the tests of the command line look at."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from lalald.__main__ import main
from lalald.control.socket_server import Server
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.job import Job, JobSettings
from lalald.jobs.states import Hold, HoldSource, Stage, State
from lalald.jobs.task import Task, Track
from lalald.jobs.transfer_progress import TransferProgress
from lalald.store import NewFile, Store
from lalald.store.events.event_queue import Selection

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
HOUR = 3600.0
DAY = 24 * HOUR
EVERYTHING = Selection(frozenset(EventKind))
ODD_NAME = os.fsdecode(b"caf\xe9\nlatte\x1b[31m.wav")

VOICE = (Task(1, None, "voice_clean", {"stem": "voice", "dereverb_enabled": True}),)
REMIX = (
    Task(1, "lead", "stem_separator", {"stem": "vocals", "multivocal": "lead_back"}),
    Task(2, None, "multistem", {"stem_list": ["drum", "bass"]}),
)
RULES: list[dict[str, Any]] = [
    {"name": "podcasts", "match": ["podcasts/"], "mode": "voice_clean", "presets": {"dereverb_enabled": True}},
    {
        "name": "remix",
        "tasks": [
            {"name": "lead", "mode": "stem_separator", "presets": {"stem": "vocals", "multivocal": "lead_back"}},
            {"mode": "multistem", "presets": {"stem_list": ["drum", "bass"]}},
        ],
    },
]


class FilledStore:
    """A configuration, its folders, and a database to be filled."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.inbox, self.outbox, self.state = root / "inbox", root / "outbox", root / "state"
        for folder in (self.inbox, self.outbox):
            folder.mkdir(parents=True)
        inbox = {
            "path": str(self.inbox),
            "outbox": str(self.outbox),
            "settle": "0s",
            "rules": RULES,
            **settings.pop("inbox", {}),
        }
        self.config = root / "config.yaml"
        self.config.write_text(yaml.safe_dump({"state_dir": str(self.state), "inboxes": [inbox], **settings}))

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LALALD_", "XDG_"))}
        return {**kept, "LALALD_CONFIG": str(self.config), "TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "dumb"}

    def run(self, *arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        """The real program."""
        return subprocess.run(
            [sys.executable, "-m", "lalald", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            timeout=60,
            check=False,
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """The same within this process, which is quicker: exit code, standard output, standard error."""
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as complaints:
            try:
                code = main(["--config", str(self.config), *arguments])
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return code, self.plain(out.getvalue()), self.plain(complaints.getvalue())

    def said(self, *arguments: str, code: int = 0) -> str:
        """What the program prints, with the test's own folders called /in, /out and /state."""
        ended, out, complaints = self.call(*arguments)
        assert ended == code, complaints
        return out

    def complained(self, *arguments: str, code: int = 2) -> str:
        """What the program prints on standard error while it prints nothing else."""
        ended, out, complaints = self.call(*arguments)
        assert (ended, out) == (code, "")
        return complaints

    def plain(self, text: str) -> str:
        for folder, name in (
            (self.inbox, "/in"),
            (self.outbox, "/out"),
            (self.state, "/state"),
            (self.config, "/config"),
        ):
            text = text.replace(str(folder), name)
        return text

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The daemon's side; everything done to it is one commit."""
        opened = Store.open(self.state)
        try:
            opened.connection.execute("BEGIN")
            yield opened
            opened.connection.execute("COMMIT")
        finally:
            opened.close()

    def settings(self) -> JobSettings:
        return JobSettings(
            outbox=str(self.outbox),
            output="{dir}/{name}/{label}.{ext}",
            on_conflict="rename",
            duplicates="reuse",
            tracks=None,
            labels={},
            delete=True,
            manifest=False,
            on_success="move",
            done_dir=str(self.inbox / "done"),
            on_failure="move",
            failed_dir=str(self.inbox / "failed"),
        )

    def take(self, store: Store, path: str, at: float = NOW, **facts: Any) -> Job:
        """A new job for a file of 3 minutes that need not be there."""
        rule = "podcasts" if path.startswith("podcasts/") else "remix"
        tasks = VOICE if rule == "podcasts" else REMIX
        found = NewFile(str(self.inbox), path, 5_000_000, 1, 1, rule, self.settings(), tasks, duration=180.0)
        (job_id,) = store.add_files([replace(found, **facts)], at)
        assert job_id is not None
        job = store.job(job_id)
        assert job is not None
        return job

    def fill(self) -> None:
        """Jobs 1 to 9, one of each kind."""
        with self.store() as store:
            self._ended(store)
            self._held(store)
            self._under_way(store)
            inbox = str(self.inbox)
            store.folders.set_inbox_state(
                inbox, available=True, reason="", watch="native", watch_reason="ext4 tells", now=NOW
            )
            store.state.set("minutes", {"left": 42.5, "at": NOW - 300}, NOW - 300)
            facts = {"pid": 4242, "version": "0.1.0", "started_at": NOW - 2 * DAY, "config": str(self.config)}
            store.state.set("daemon", facts, NOW - 2 * DAY)
            store.state.set("service", {"trouble": None, "since": None}, NOW)

    def _ended(self, store: Store) -> None:
        job = self.take(store, "podcasts/ep1.mp3", NOW - 40 * DAY)
        tracks = tuple(
            Track(
                kind,
                label,
                f"https://x/{label}",
                size=1_000_000,
                path=f"podcasts/ep1/{label}.mp3",
                sha256="ab" * 32,
                delivered=True,
            )
            for kind, label in (("stem", "voice"), ("back", "no_voice"))
        )
        task = replace(job.tasks[0], stage=Stage.DONE, task_id="task-1", idempotency_key="key-1", minutes=3.0, progress=100,
                       started_at=NOW - 40 * DAY, requested_at=NOW - 40 * DAY, tracks=tracks)  # fmt: skip
        store.save(job, replace(job.with_task(task), stage=Stage.DONE, state=State.DONE, source_id="source-1", sha256="cd" * 32,
                                moved_to=str(self.inbox / "done/podcasts/ep1.mp3"), expires_at=NOW - 39 * DAY,
                                updated_at=NOW - 39.5 * DAY, finished_at=NOW - 39.5 * DAY, archived=True))  # fmt: skip
        job = self.take(store, "bad.mp3", NOW - 5 * HOUR)
        error = "the service refused it: no audio in it (HTTP 400, request id 0123456789abcdef). Nothing was charged."
        store.save(job, replace(job, state=State.FAILED, error=error, updated_at=NOW - 4 * HOUR))
        job = self.take(store, "podcasts/stopped.mp3", NOW - 4 * HOUR)
        task = replace(job.tasks[0], error="it was cancelled")
        stopped = replace(job.with_task(task), state=State.CANCELLED, error="it was cancelled", archived=True)
        store.save(job, replace(stopped, updated_at=NOW - 3 * HOUR))

    def _held(self, store: Store) -> None:
        job = self.take(store, "long.mp3", NOW - 3 * HOUR)
        store.save(job, replace(job, state=State.HELD, hold=Hold.MINUTES, hold_source=HoldSource.PER_FILE,
                                hold_reason="needs 9.0 minutes, minutes.per_file allows 5",
                                held_at=NOW - 2 * HOUR, updated_at=NOW - 2 * HOUR))  # fmt: skip
        job = self.take(store, "podcasts/lost.mp3", NOW - 2 * HOUR)
        task = replace(job.tasks[0], idempotency_key="key-5", requested_at=NOW - HOUR)
        held = replace(job.with_task(task), stage=Stage.SPLIT, state=State.HELD, hold=Hold.LOST_TASK, source_id="source-5",
                       hold_reason="the task started, and its id never came", held_at=NOW - HOUR, updated_at=NOW - HOUR)  # fmt: skip
        store.save(job, held)

    def _under_way(self, store: Store) -> None:
        job = self.take(store, "mix.wav", NOW - 600)
        first = replace(
            job.tasks[0], stage=Stage.CHECK, task_id="task-6a", minutes=3.0, started_at=NOW - 60, progress=40
        )
        second = replace(job.tasks[1], stage=Stage.CHECK, task_id="task-6b", minutes=6.0, started_at=NOW - 60)
        both = job.with_task(first).with_task(second)
        store.save(job, replace(both, stage=Stage.CHECK, source_id="source-6", updated_at=NOW - 60))
        self.take(store, "sending.wav", NOW - 60)
        store.set_progress({7: TransferProgress(1_250_000, 5_000_000, 250_000.0)})
        job = self.take(store, "patient.wav", NOW - 30)
        waits = replace(job, attempts=3, due_at=NOW + 90, error="no answer within 30 s", updated_at=NOW - 10)
        store.save(job, waits)
        self.take(store, ODD_NAME, NOW - 5)


@contextmanager
def answering(state_dir: Path, *, well: bool = True) -> Iterator[list[str]]:
    """The daemon's doorbell for as long as it lasts; gives the list of wakes, which grows."""
    wakes: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def pulse() -> bool:
        return well

    async def serve() -> None:
        server = Server(state_dir, lambda: wakes.append("wake"), pulse)
        await server.start()
        ready.set()
        await asyncio.to_thread(over.wait)
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield wakes
    finally:
        over.set()
        thread.join()
