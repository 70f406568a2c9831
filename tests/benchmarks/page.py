"""The page: the first visit while it sleeps, news, long lists, its memory, a large upload, a crowd; and the daemon while it is closed."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any

import httpx

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.history import carry_one, multiply
from tests.benchmarks.place import daemon, folder, pid_of
from tests.benchmarks.process import MIB, peak_resident_bytes, resident_bytes, wake_ups
from tests.support.page_client import Frames, PageClient, address_of, logged_in, with_page
from tests.support.page_process import page_of
from tests.support.running import Home, until, write_wav

SMALL: dict[str, Any] = {
    "jobs": 50, "rounds": 1, "upload_bytes": 3_000_000, "pages": 5, "idle_seconds": 0.3, "rest_seconds": 0.3,
}  # fmt: skip
_PIECE_BYTES = 50_000_000


def measure(
    *,
    jobs: int = 100_000,
    rounds: int = 10,
    upload_bytes: int = 10_000_000_000,
    pages: int = 50,
    idle_seconds: float = 30.0,
    rest_seconds: float = 8.0,
) -> list[Figure]:
    with folder() as root, sink.running() as service, daemon(root, service.url, start=False) as home:
        with_page(home)
        carry_one(home)
        home.start()
        time.sleep(rest_seconds)
        figures = _closed(home, idle_seconds)
        home.stop()
        multiply(home, jobs)
        home.start()
        figures.append(_first_visit(home))
        with logged_in(home) as client:
            figures += [*_lists(client, jobs, rounds), _news(home, client, rounds)]
            figures += [_memory(home, jobs), _upload(home, client, upload_bytes), _crowd(home, pages)]
    return figures


def _closed(home: Home, seconds: float) -> list[Figure]:
    pid = pid_of(home)
    before = wake_ups(pid)
    time.sleep(seconds)
    woken, memory = wake_ups(pid) - before, resident_bytes(pid) / MIB
    what = f"the daemon with a page that is configured and closed, {seconds:g} s"
    return [
        Figure(what, f"{woken} wake-ups", "–", "0", woken == 0),
        Figure("the same: memory", f"{memory:.0f} MiB", "–", "≤ 48 MiB", memory <= 48),
    ]


def _first_visit(home: Home) -> Figure:
    began_at = time.monotonic()
    httpx.get(f"{address_of(home)}/healthz", timeout=60)
    took = time.monotonic() - began_at
    return Figure("the page's first visit while it sleeps", f"{took:.2f} s", "–", "≤ 1.5 s", took <= 1.5)


def _lists(client: PageClient, jobs: int, rounds: int) -> list[Figure]:
    questions: dict[str, dict[str, Any]] = {
        "newest": {},
        "one in the middle": {"before": jobs // 2},
        "by a text that none has": {"text": "nothing has this"},
        "by a text beyond ASCII": {"text": "é"},
        "by another rule": {"rule": "none"},
        "failed ones": {"state": "failed"},
    }
    figures = []
    for what, parameters in questions.items():
        taken = []
        for _ in range(rounds):
            began_at = time.perf_counter()
            client.facts("/api/jobs", **parameters)
            taken.append((time.perf_counter() - began_at) * 1000)
        found = statistics.median(taken)
        title = f"a page of the list, {jobs:,} jobs: {what}"
        figures.append(Figure(title, f"{found:.0f} ms", "–", "≤ 100 ms", found <= 100))
    return figures


def _news(home: Home, client: PageClient, rounds: int) -> Figure:
    """From a change of the store to the frame that tells it: a request is left and taken back."""
    taken = []
    with client.stream("GET", "/api/events") as response:
        frames = Frames(response)
        frames.until("snapshot")
        for number in range(rounds):
            write_wav(home.root / "made.wav", seconds=0.1, pitch=300 + number)
            began_at = time.monotonic()
            client.done("/api/rescan", {})
            frames.until("changed")
            taken.append((time.monotonic() - began_at) * 1000)
    found = max(taken)
    return Figure(
        "a change of the store → it is in an open page", f"at most {found:.0f} ms", "–", "≤ 300 ms", found <= 300
    )


def _memory(home: Home, jobs: int) -> Figure:
    memory = resident_bytes(_page(home)) / MIB
    return Figure(f"the page's process, {jobs:,} jobs", f"{memory:.0f} MiB", "–", "≤ 45 MiB", memory <= 45)


def _upload(home: Home, client: PageClient, size: int) -> Figure:
    begun = client.post("/api/uploads", json={"inbox": str(home.inbox), "path": "large.wav", "size": size})
    assert begun.status_code == 201, begun.text
    piece, upload, offset = bytes(_PIECE_BYTES), f"/api/{begun.headers['location']}", 0
    began_at = time.monotonic()
    while offset < size:
        part = piece[: min(_PIECE_BYTES, size - offset)]
        headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        answer = client.patch(upload, content=part, headers=headers)
        assert answer.status_code == 204, answer.text
        offset += len(part)
    rate = size / (time.monotonic() - began_at) / 1e6
    peak = peak_resident_bytes(_page(home)) / MIB
    what = f"an upload of {size / 1e9:g} GB: the process's peak"
    return Figure(what, f"{peak:.0f} MiB at {rate:.0f} MB/s", "–", "flat: ≤ 64 MiB", peak <= 64)


def _crowd(home: Home, pages: int) -> Figure:
    """So many pages, each of a session of its own, that all follow the status."""
    with ExitStack() as stack:
        frames = []
        for _ in range(pages):
            client = stack.enter_context(logged_in(home))
            response = stack.enter_context(client.stream("GET", "/api/events"))
            frames.append(Frames(response))
            frames[-1].until("snapshot")
        began_at = time.monotonic()
        client.done("/api/rescan", {})
        for one in frames:
            one.until("changed")
        took = (time.monotonic() - began_at) * 1000
        memory = resident_bytes(_page(home)) / MIB
    what = f"{pages} open pages: a change is in all of them"
    return Figure(what, f"{took:.0f} ms, {memory:.0f} MiB", "–", "≤ 1 s", took <= 1000)


def _page(home: Home) -> int:
    found = until(lambda: page_of(home), "the page runs")
    return int(found)


if __name__ == "__main__":
    show(measure)
