"""Entries of `notify`: what they cost an idle daemon, how soon a webhook is told, and what thousands of events cost the pipeline."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import QUICK, Tail, daemon, drop, folder, pid_of, prepared
from tests.benchmarks.process import MIB, resident_bytes, wake_ups, written_bytes
from tests.support.receiver import Receiver, receiving
from tests.support.running import until

_WEBHOOKS = ("one", "two", "three")
SMALL = {"files": 12, "seconds": 0.3, "rest_seconds": 0.3}


def measure(*, files: int = 1000, seconds: float = 30.0, rest_seconds: float = 12.0) -> list[Figure]:
    """`seconds`: how long the daemon is watched while idle; `rest_seconds`: what a file leaves to do is done by then."""
    return [*_idle(seconds, rest_seconds), *_beside_the_pipeline(files)]


def _entries(receiver: Receiver) -> list[dict[str, Any]]:
    return [
        {"name": "webhook", "webhook": receiver.url, "on": "all"},
        {"name": "command", "command": ["/bin/true"], "on": "all"},
        {"name": "message", "url": f"json://127.0.0.1:{receiver.port}/message", "on": "all", "gather": "0s"},
    ]


def _idle(seconds: float, rest_seconds: float) -> list[Figure]:
    """After each entry was told of a delivery."""
    with folder() as root, sink.running() as service, receiving() as receiver:
        settings = {"notify": _entries(receiver), "checks_per_minute": QUICK}
        with daemon(root, service.url, **settings) as home:
            drop(prepared(root, 1), home)
            until(lambda: {request.path for request in receiver.requests} == {"/hook", "/message"}, "each is told")
            Tail(home, "job.done").until(1, 30.0)
            time.sleep(rest_seconds)
            pid = pid_of(home)
            before = wake_ups(pid), written_bytes(pid)
            time.sleep(seconds)
            woken, written = wake_ups(pid) - before[0], written_bytes(pid) - before[1]
            memory = resident_bytes(pid) / MIB
    return [
        Figure("idle with a webhook, a command and a message: memory", f"{memory:.0f} MiB", "–", "≤ 48 MiB", memory <= 48),
        Figure(
            f"the same, idle for {seconds:g} s", f"{woken} wake-ups, {written} bytes written", "–", "0 wake-ups, 0 bytes",
            (woken, written) == (0, 0),
        ),
    ]  # fmt: skip


def _beside_the_pipeline(files: int) -> list[Figure]:
    """So many webhooks that more than 10,000 events a minute are sent, between two runs of the same files without: machines drift."""
    before = _rate(files, [])[0]
    runs = [_with_webhooks(files) for _ in range(2)]
    without = mean([before, _rate(files, [])[0]])
    with_them, sent_per_minute = mean(run[0] for run in runs), mean(run[1] for run in runs)
    late = [seconds for run in runs for seconds in run[2]]
    ratio = without / with_them
    return [
        Figure(
            f"{files:,} small files with {len(_WEBHOOKS)} webhooks, {sent_per_minute:,.0f} events sent a minute",
            f"{with_them:.0f} files/s: {ratio:.2f}×",
            f"without: {without:.0f} files/s", "≤ 1.1× beside 10,000 events a minute", ratio <= 1.1 and sent_per_minute >= 10_000,
        ),
        Figure(
            "an event to its webhook, meanwhile", f"p50 {median(late) * 1000:.0f} ms, at most {max(late):.2f} s", "–", "≤ 1 s",
            max(late) <= 1.0,
        ),
    ]  # fmt: skip


def _with_webhooks(files: int) -> tuple[float, float, list[float]]:
    """Files delivered a second, requests a minute, and by how many seconds each event was late."""
    with sink.running() as receiver:
        entries = [{"name": name, "webhook": f"{receiver.url}/hook", "on": "all"} for name in _WEBHOOKS]
        rate, sent_per_minute = _rate(files, entries, receiver)
        to_wall = time.time() - time.monotonic()
        return rate, sent_per_minute, [_late(event.subject, event.at + to_wall) for event in receiver.events("hook")]


def _rate(files: int, entries: list[dict[str, Any]], receiver: sink.Running | None = None) -> tuple[float, float]:
    """Files delivered a second, and requests a minute until all were sent."""
    with folder() as root, sink.running() as service:
        paths: list[Path] = prepared(root, files)
        with daemon(root, service.url, checks_per_minute=QUICK, notify=entries) as home:
            began_at = time.monotonic()
            drop(paths, home)
            Tail(home, "job.done").until(files, 600.0)
            seconds = time.monotonic() - began_at
            if receiver is None:
                return files / seconds, 0.0
            until(lambda: len(receiver.events("hook")) >= len(entries) * files, "all is told", 600.0)
            sent = [event.at for event in receiver.events("hook")]
    return files / seconds, len(sent) / (max(sent) - began_at) * 60


def _late(timestamp: str, received_at: float) -> float:
    return received_at - datetime.fromisoformat(timestamp).timestamp()


if __name__ == "__main__":
    show(measure)
