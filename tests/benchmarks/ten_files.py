"""Ten files of 30 s dropped at once: how long until the last result is there."""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import Tail, daemon, drop, folder, prepared

SMALL = {"files": 2, "processings": ((0.2, 8.0),), "sound_seconds": 0.2, "poll_seconds": 0.3, "checks_per_minute": 600}
_ONE_AFTER_ANOTHER = 2  # files that the sequential client really carries; the others take as long


def measure(
    *,
    files: int = 10,
    processings: tuple[tuple[float, float], ...] = ((5.0, 8.0), (6.0, 9.0)),
    sound_seconds: float = 30.0,
    poll_seconds: float = 5.0,
    checks_per_minute: int = 30,
) -> list[Figure]:
    """For each (processing time, goal): lalald, and a client that uploads, starts, polls, downloads, and only then takes the next."""
    with ThreadPoolExecutor() as threads:
        references = [
            threads.submit(_sequential, files, seconds, sound_seconds, poll_seconds) for seconds, _ in processings
        ]
        figures = []
        for (processing, goal), reference in zip(processings, references, strict=True):
            seconds = _lalald(files, processing, sound_seconds, checks_per_minute)
            figures.append(
                Figure(
                    f"{files} files of {sound_seconds:g} s dropped at once, {processing:g} s processing each, `settle: 0s`",
                    f"{seconds:.1f} s",
                    f"one after another, polling every {poll_seconds:g} s: {reference.result():.0f} s",
                    f"≤ {goal:g} s",
                    seconds <= goal,
                )
            )
    return figures


def _lalald(files: int, processing: float, sound_seconds: float, checks_per_minute: int) -> float:
    options = Options(processing_seconds=processing, checks_per_minute=checks_per_minute)
    with folder() as root, Sandbox(options) as sandbox:
        paths = prepared(root, files, sound_seconds)
        with daemon(root, sandbox.url, checks_per_minute=checks_per_minute) as home:
            began_at = time.monotonic()
            drop(paths, home)
            Tail(home, "job.delivered").until(files, 60.0)
            return time.monotonic() - began_at


def _sequential(files: int, processing: float, sound_seconds: float, poll_seconds: float) -> float:
    """What the service's own example script does, file by file."""
    carried = min(files, _ONE_AFTER_ANOTHER)
    with folder() as root, Sandbox(Options(processing_seconds=processing, checks_per_minute=600)) as sandbox:
        paths = prepared(root, carried, sound_seconds)
        began_at = time.monotonic()
        for path in paths:
            _carry(path, sandbox.url, poll_seconds)
        return (time.monotonic() - began_at) / carried * files


def _carry(path: Path, url: str, poll_seconds: float) -> None:
    disposition = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{path.name}"',
    }
    source = _ask(f"{url}/api/v1/upload/", path.read_bytes(), disposition)["id"]
    body = {"source_id": source, "presets": {"stem": "vocals"}}
    task = _ask(f"{url}/api/v1/split/stem_separator/", json.dumps(body).encode())["task_id"]
    while True:
        state = _ask(f"{url}/api/v1/check/", json.dumps({"task_ids": [task]}).encode())["result"][task]
        if state["status"] == "success":
            break
        time.sleep(poll_seconds)  # what the script does; it is what costs it the time
    for track in state["result"]["tracks"]:
        with urllib.request.urlopen(track["url"]) as answer:
            path.with_suffix(f".{track['label']}").write_bytes(answer.read())


def _ask(url: str, body: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        url, body, {"Content-Type": "application/json", "X-License-Key": "a-key", **(headers or {})}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        said: dict[str, Any] = json.load(answer)
        return said


if __name__ == "__main__":
    show(measure)
