"""Downloads are resumed only if the bytes on disk are sure to belong to the same version."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lalald import outbox
from lalald.api import Client, Transfer
from lalald.errors import TransientError
from lalald.jobs.job import Job
from lalald.outbox.extensions import DownloadHeaders
from lalald.outbox.staging import Staged, load_record
from tests.support import ROOT
from tests.support.delivery_process import hidden, job_at, nobody_else, tree

CONTENT = bytes(range(256)) * 20_000
HALF = len(CONTENT) // 2


class TrackServer(ThreadingHTTPServer):
    """Serves one track, with ranges. The next answer ends after `stop_at` bytes of the track; with `stall` it hangs there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.etag = CONTENT, '"first"'
        self.stop_at: int | None = None
        self.stall = False
        self.over = threading.Event()
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: TrackServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = self.headers.get("Range") if self.headers.get("If-Range") == self.server.etag else None
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        content, stop_at = self.server.content, self.server.stop_at
        self.server.stop_at = None
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Type", "audio/flac")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:stop_at])
        if stop_at is not None:
            self.wfile.flush()
            if self.server.stall:
                self.server.over.wait(30)
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[TrackServer]:
    with TrackServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def job_of(root: Path, url: str) -> Job:
    job = job_at(root, labels=["voice"])
    track = replace(job.tasks[0].tracks[0], url=f"{url}/voice")
    return replace(job, tasks=(replace(job.tasks[0], tracks=(track,)),))


def fetch(job: Job) -> outbox.Staged:
    api = Client(job.tasks[0].tracks[0].url.removesuffix("/voice"), None, upload_rate=None, download_rate=None)
    try:
        return outbox.fetch(job, 1, 0, api, Transfer())
    finally:
        asyncio.run(api.aclose())


def deliver(job: Job, staged: outbox.Staged) -> dict[str, bytes]:
    placed = outbox.place(outbox.reserve(job, {(1, 0): staged}, is_reserved=nobody_else))
    outbox.clear(placed)
    return tree(Path(job.settings.outbox))


def test_a_track_is_fetched_whole_and_named_by_its_headers(tmp_path: Path, server: TrackServer) -> None:
    job = job_of(tmp_path, server.url)
    staged = fetch(job)
    assert (staged.size, staged.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert deliver(job, staged) == {"podcasts/ep1/voice.flac": CONTENT}
    assert not hidden(tmp_path / "outbox")


def test_a_complete_track_is_not_requested_again(tmp_path: Path, server: TrackServer) -> None:
    job = job_of(tmp_path, server.url)
    assert fetch(job) == fetch(job)
    assert server.ranges == [None]


def test_an_interrupted_download_is_resumed(tmp_path: Path, server: TrackServer) -> None:
    job, server.stop_at = job_of(tmp_path, server.url), HALF
    with pytest.raises(TransientError):
        fetch(job)
    assert deliver(job, fetch(job)) == {"podcasts/ep1/voice.flac": CONTENT}
    assert server.ranges == [None, f"bytes={HALF - 1}-"]


def test_a_killed_download_is_resumed(tmp_path: Path, server: TrackServer) -> None:
    job, server.stop_at, server.stall = job_of(tmp_path, server.url), HALF, True
    fetching = "t.fetch(t.job_of(Path(sys.argv[1]), sys.argv[2]))"
    script = f"import sys; from pathlib import Path; from tests.outbox import test_fetch as t; {fetching}"
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path, server.url], cwd=ROOT)
    path, deadline = Path(outbox.staged_path(job, 1, 0)), time.monotonic() + 10
    while not path.exists() or path.stat().st_size < HALF:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert deliver(job, fetch(job)) == {"podcasts/ep1/voice.flac": CONTENT}
    assert server.ranges == [None, f"bytes={HALF - 1}-"]


def test_another_version_is_never_appended_to_existing_bytes(tmp_path: Path, server: TrackServer) -> None:
    job, server.stop_at = job_of(tmp_path, server.url), HALF
    with pytest.raises(TransientError):
        fetch(job)
    server.content, server.etag = CONTENT[::-1], '"second"'
    assert deliver(job, fetch(job)) == {"podcasts/ep1/voice.flac": CONTENT[::-1]}
    assert server.ranges == [None, None]


def test_after_a_power_failure_a_download_starts_over(tmp_path: Path, server: TrackServer) -> None:
    """It is unknown which bytes reached the disk."""
    job, server.stop_at = job_of(tmp_path, server.url), HALF
    with pytest.raises(TransientError):
        fetch(job)
    path = outbox.staged_path(job, 1, 0)
    proof = Path(f"{path}.proof")
    etag, boot = json.loads(proof.read_text())
    assert (etag, boot) == ('"first"', Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    proof.write_text(json.dumps([etag, "another boot"]))
    with open(path, "r+b") as file:
        file.write(b"\0" * 100)
    assert deliver(job, fetch(job)) == {"podcasts/ep1/voice.flac": CONTENT}
    assert server.ranges == [None, None]


def test_a_task_that_is_started_again_never_uses_earlier_bytes(tmp_path: Path, server: TrackServer) -> None:
    job = job_of(tmp_path, server.url)
    fetch(job)
    again = replace(job, tasks=(replace(job.tasks[0], task_id="t-2"),))
    server.content = CONTENT[::-1]
    assert deliver(again, fetch(again)) == {"podcasts/ep1/voice.flac": CONTENT[::-1]}
    assert not hidden(tmp_path / "outbox")


def test_a_record_of_a_complete_track_from_an_earlier_version_is_read(tmp_path: Path) -> None:
    track = tmp_path / "1-0-abcdef01"
    track.write_bytes(b"sound")
    old = {"size": 5, "sha256": "00", "heard": {"file_name": "voice.mp3", "content_type": None}}
    (tmp_path / "1-0-abcdef01.whole").write_text(json.dumps(old))
    assert load_record(str(track)) == Staged(5, "00", DownloadHeaders("voice.mp3"))
