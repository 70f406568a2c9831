"""The real program in a folder of its own, against a sandbox: the base of most tests."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from lalald.filesystem.mount_pools import MountPools
from lalald.store.database import FILE_NAME

DEADLINE_SECONDS = 60.0  # what takes seconds alone takes many beside other work
# DESIGN allows a stop 2 s. It takes 0.1 s where nothing stalls, and at most 1.5 s for what does; beside other tests a process may wait
# for seconds for a processor. What a test of it is to find lasts longer: 8 s for a split on the wire, for ever for a dead share.
MOST_STOP_SECONDS = 6.0


def until(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS, *, pause_seconds: float = 0.02
) -> Any:
    """What `condition` gives once it is true. AssertionError, naming `what`, when the deadline passes.

    `pause_seconds`: longer for a condition that costs a start of the program.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause_seconds)  # between two looks at a condition, not in place of one
    return found


def write_wav(path: Path, seconds: float = 2.0, pitch: float = 220.0) -> bytes:
    """A mono tone of 8 kHz; equal pitches give equal bytes. Appears under its name whole, as a careful program would do it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.making")
    with wave.open(str(hidden), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = (int(9000 * math.sin(2 * math.pi * pitch * n / 8000)) for n in range(int(8000 * seconds)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    content = hidden.read_bytes()
    hidden.rename(path)
    return content


@contextmanager
def own_disks(**behaviour: Any) -> Iterator[MountPools]:
    """Threads for a test, of which none is left at its end."""
    disks = MountPools(**behaviour)
    try:
        yield disks
    finally:
        for thread in disks.stop():
            thread.join()


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, while a program works there: what disappears meanwhile is left out, which `rglob` raises."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def size_below(folder: Path) -> int:
    """The bytes of all its files, while a program works there."""
    size = 0
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def tree(folder: Path) -> list[str]:
    """Every file below a folder, except markers, while a program works there."""
    return sorted(str(path.relative_to(folder)) for path in files_below(folder) if path.name != ".lalald")


class Home:
    """A configuration with its folders, and the daemon that runs there."""

    def __init__(self, root: Path, api_url: str, rules: list[dict[str, Any]] | None = None, **settings: Any) -> None:
        self.root = root
        self.inbox, self.outbox, self.state = root / "inbox", root / "outbox", root / "state"
        for folder in (self.inbox, self.outbox):
            folder.mkdir(parents=True, exist_ok=True)
        inbox = {
            "path": str(self.inbox), "outbox": str(self.outbox), "settle": "0s",
            "rules": rules or [{"name": "stems", "mode": "stem_separator", "presets": {"stem": "vocals"}}],
            **settings.pop("inbox", {}),
        }  # fmt: skip
        self.settings = {"api_url": api_url, "state_dir": str(self.state), "inboxes": [inbox], **settings}
        self.config = root / "config.yaml"
        self.write_config()
        self.process: subprocess.Popen[bytes] | None = None
        self._listed: tuple[Any, str] = None, ""  # when the database was written, and the jobs of that time
        self.log = root / "daemon.log"
        self.python = sys.executable
        self.variables: dict[str, str] = {}  # more of its environment
        self.daemon: tuple[str, ...] = ("-m", "lalald", "run")  # as Python is asked for it
        self.through: tuple[str, ...] = ()  # what starts the program: `setpriv …`, `unshare …`

    def write_config(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings, allow_unicode=True))

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LALALD_")}
        return {**kept, **self.variables, "LALALD_LICENSE_KEY": "a-key", "LALALD_CONFIG": str(self.config)}

    def command(
        self, *arguments: str, environ: Mapping[str, str] | None = None, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.through, self.python, "-m", "lalald", *arguments], env={**self.environ, **(environ or {})}, capture_output=True,
            text=True, timeout=seconds, check=False, errors="surrogateescape",
        )  # fmt: skip

    def start(self, *, environ: Mapping[str, str] | None = None, wait: bool = True) -> subprocess.Popen[bytes]:
        """The daemon; with `wait`, once it is ready, and its page listens or is reported as unavailable."""
        ready, page = self._count("daemon.ready"), self._count("page.listening", "page.unavailable")
        with self.log.open("ab") as log:
            words = [*self.through, self.python, *self.daemon]
            self.process = subprocess.Popen(words, env={**self.environ, **(environ or {})}, stderr=log, stdout=log)
        if wait:
            until(lambda: self._count("daemon.ready") > ready or self._ended(), "the daemon is ready")
        if wait and self.settings.get("web", {}).get("listen"):
            until(lambda: self._count("page.listening", "page.unavailable") > page or self._ended(), "the page listens")
        return self.process

    def _count(self, *events: str) -> int:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return sum(text.count(event) for event in events)

    def _ended(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended:\n{self.log.read_text(errors='replace')[-3000:]}"
        return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def jobs(self) -> list[dict[str, Any]]:
        """What `lalald jobs --json` prints. It is run only if the database was written since the last time."""
        written = self._written()
        if written is None or written != self._listed[0]:
            answer = self.command("jobs", "--json")
            assert answer.returncode in (0, 1), answer.stderr
            self._listed = written, answer.stdout
        found: list[dict[str, Any]] = json.loads(self._listed[1])
        return found

    def _written(self) -> tuple[tuple[int, int, int], ...] | None:
        """Changes with every write to the database; the command starts for longer than two writes can have one time."""
        try:
            found = [(self.state / name).stat() for name in (FILE_NAME, f"{FILE_NAME}-wal")]
        except OSError:
            return None
        return tuple((file.st_ino, file.st_mtime_ns, file.st_size) for file in found)

    def logged(self, event: str) -> list[dict[str, Any]]:
        whole, _, _ = self.log.read_text(errors="replace").rpartition("\n")  # the last line may be half written
        entries = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == event]

    def _is_busy(self) -> bool:
        """Whether the database certainly has waiting jobs: there is no need to start the program to learn it."""
        if self.through or not (self.state / f"{FILE_NAME}-wal").exists():  # another user's, or no daemon has it open
            return False
        try:
            with closing(sqlite3.connect(f"file:{self.state / FILE_NAME}?mode=ro", uri=True)) as database:
                return database.execute("SELECT 1 FROM jobs WHERE state = 'waiting'").fetchone() is not None
        except sqlite3.Error:
            return False

    def rest(self, seconds: float = DEADLINE_SECONDS) -> list[dict[str, Any]]:
        """The jobs once every one of them is at its end or held."""

        def rested() -> list[dict[str, Any]]:
            jobs = [] if self._is_busy() else self.jobs()
            return jobs if jobs and all(job["state"] in ("done", "failed", "held", "cancelled") for job in jobs) else []

        found: list[dict[str, Any]] = until(rested, "every job came to rest", seconds)
        return found
