"""Hostile answers: they do not stop other jobs, escape their folder, spend twice, or pass as plausible."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalald.api import Started, StartRefused, answers, error_mapping
from lalald.api.error_mapping import Reply
from lalald.errors import RefusedError
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.jobs.task import Track
from lalald.sandbox.options import Options
from tests.support.filled_store import FilledStore
from tests.support.running import tree
from tests.support.worker_driver import KEY, PLENTY, WorkerDriver, run


def nested(depth: int, inner: Any = "deep") -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


def reply(said: Any, status: int = 200) -> Reply:
    return Reply(status, {}.get, json.dumps(said).encode())


DEPTHS = [10, 100, 300, 400, 500, 800]  # Python reads a thousand levels of JSON, and walks through fewer


@pytest.mark.parametrize("depth", DEPTHS)
def test_words_nested_however_deep_are_an_answer(depth: int) -> None:
    deep = nested(depth)
    refused = error_mapping.refusal(reply({"detail": deep, "code": "max_duration"}, 400))
    assert isinstance(refused, RefusedError)
    assert refused.code == "max_duration"
    for item in ({"status": deep}, {"status": "server_error", "error": deep}, {"status": "error", "error": deep}):
        said = error_mapping.reading(reply({"result": {"t": item, "u": {"status": "cancelled"}}}))
        assert answers.checked(said, reply(None), ["t", "u"])["u"].status == "cancelled"
        assert answers.cancelled(said, reply(None)).keys() == {"t", "u"}
    said = error_mapping.reading(reply({"results": [{"status": "error", "error": deep}, {"task_id": "2"}]}))
    assert answers.started(said, reply(None), ["a", "b"])[1] == Started("2")


def test_a_task_id_given_to_two_sources_is_assigned_to_neither() -> None:
    said = {"results": [{"task_id": "1", "source_id": "a"}, {"task_id": "1", "source_id": "b"}, {"task_id": "3"}]}
    first, second, third = answers.started(said, reply(said), ["a", "b", "c"])
    assert isinstance(first, StartRefused)
    assert first.unanswered
    assert first == second
    assert third == Started("3")


async def carried(root: Path, *faults: str | Mapping[str, Any], **options: Any) -> tuple[WorkerDriver, Job]:
    """One file processed while the service has these faults, and its outcome."""
    driver = WorkerDriver(root, options=Options(checks_per_minute=PLENTY, **options))
    async with driver:
        driver.sandbox.faults(*faults)
        await driver.drop("ep1.wav")
        (job,) = await driver.rest()
        driver.final_state = driver.sandbox.state()
    return driver, job


@pytest.mark.parametrize("expires", [0, 1, 86_400, 4_000_000_000, 99_999_999_999])
def test_a_source_is_uploaded_once_whatever_clock_the_service_goes_by(expires: int, tmp_path: Path) -> None:
    fault = {"operation": "upload", "kind": "type", "field": "expires", "value": expires, "count": 0}
    driver, job = run(carried(tmp_path, fault))
    assert job.state is State.DONE
    assert driver.final_state["counts"]["upload"] == 1
    assert job.expires_at is not None
    assert 22 * 3600 < job.expires_at - job.created_at < 26 * 3600


def test_every_path_is_explained(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    (filled_store.inbox / "link.wav").symlink_to("/etc/passwd")
    staged = filled_store.outbox / ".lalald-staging" / "1-abc" / "1-0-def"
    odd = filled_store.inbox / os.fsdecode(b"caf\xe9\x1b[31m.wav")
    paths = {
        filled_store.inbox: "it is an inbox",
        filled_store.inbox / "gone.wav": "does not exist",
        filled_store.inbox / "link.wav": "it is a symlink",
        filled_store.inbox / "link.wav" / "below.wav": "is a symlink",
        filled_store.inbox / "done" / "ep1.wav": "done folder",
        filled_store.inbox / ("n" * 300 + ".wav"): "File name too long",
        odd: "does not exist",
        filled_store.outbox: "outbox of",
        staged: "outbox of",
        Path("/"): "it is not in an inbox",
        Path("/dev/null"): "it is not in an inbox",
    }
    for path, words in paths.items():
        shown = filled_store.said("explain", str(path))
        assert "processed  no: " in shown
        assert words in shown
        assert "\x1b" not in shown


def test_names_from_the_service_are_escaped_on_terminals(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    odd = "id\x1b]0;owned\x07\n\u202e"
    with filled_store.store() as store:
        job = filled_store.take(store, "podcasts/ep1.wav")
        track = Track(odd, odd, f"https://x/{odd}", name=odd)
        task = replace(job.tasks[0], stage=Stage.DOWNLOAD, task_id=odd, tracks=(track,), error=odd)
        store.save(job, replace(job.with_task(task), source_id=odd, error=odd, warning=odd, state=State.FAILED))
    for words in (["show", "1"], ["jobs"], ["jobs", "--json"], ["show", "1", "--json"]):
        _, shown, _ = filled_store.call(*words)
        assert not set("\x1b\x07\u202e") & set(shown)


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "check", "kind": "label", "track": {"label": "../../../etc/passwd"}},
        {"operation": "check", "kind": "label", "track": {"label": "/etc/passwd"}},
        {"operation": "check", "kind": "label", "track": {"label": "\0\x1b\n" * 50}},
        {"operation": "check", "kind": "label", "track": {"label": "l" * 400, "name": "n" * 4000}},
        {"operation": "check", "kind": "label", "track": {"label": "same", "name": "../same.wav"}},
        {"operation": "check", "kind": "label", "track": {"label": ".lalald-staging"}},
        {"operation": "check", "kind": "type", "field": "progress", "value": 1e308},
        {"operation": "check", "kind": "type", "field": "size", "value": -1},
        {"operation": "upload", "kind": "type", "field": "duration", "value": -5},
        {"operation": "minutes", "kind": "type", "field": "minutes_left", "value": "about 5"},
        {"operation": "check", "kind": "status", "status": 400, "detail": nested(500)},
        {"operation": "upload", "kind": "status", "status": 503, "detail": nested(500)},
    ],
    ids=lambda fault: f"{fault['operation']} {''.join(filter(str.isalnum, str(fault)))[-30:]}",
)
def test_a_hostile_answer_costs_nothing_but_its_own_time(fault: Mapping[str, Any], tmp_path: Path) -> None:
    driver, job = run(carried(tmp_path, fault))
    assert job.state is State.DONE
    assert len(driver.final_state["charges"]) == 1
    found = tree(tmp_path)
    assert len([path for path in found if path.startswith("outbox/ep1/")]) == 2
    assert [path for path in found if not path.startswith(("outbox/ep1/", "state/"))] == ["inbox/done/ep1.wav"]
    assert KEY not in repr(driver.journal.events)


def test_negative_minutes_spend_nothing(tmp_path: Path) -> None:
    fault = {"operation": "minutes", "kind": "type", "field": "minutes_left", "value": -50, "count": 0}
    driver, job = run(carried(tmp_path, fault))
    assert (job.state, job.hold) == (State.HELD, Hold.MINUTES)
    assert driver.final_state["charges"] == []
