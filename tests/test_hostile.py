"""The service's answers are hostile: nothing they hold stops the others, leaves its folder, spends twice, or is believed too far."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from carrying import PLENTY, Workshop, run
from lalald.api import Started, StartRefused, answers, translate
from lalald.api.translate import Reply
from lalald.errors import RefusedError
from lalald.jobs import Job, State
from lalald.sandbox.options import Options


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
    refused = translate.refusal(reply({"detail": deep, "code": "max_duration"}, 400))
    assert isinstance(refused, RefusedError)
    assert refused.code == "max_duration"
    for item in ({"status": deep}, {"status": "server_error", "error": deep}, {"status": "error", "error": deep}):
        said = translate.reading(reply({"result": {"t": item, "u": {"status": "cancelled"}}}))
        assert answers.checked(said, reply(None), ["t", "u"])["u"].status == "cancelled"
        assert answers.cancelled(said, reply(None)).keys() == {"t", "u"}
    said = translate.reading(reply({"results": [{"status": "error", "error": deep}, {"task_id": "2"}]}))
    assert answers.started(said, reply(None), ["a", "b"])[1] == Started("2")


def test_one_task_given_to_two_sources_is_nobodys() -> None:
    said = {"results": [{"task_id": "1", "source_id": "a"}, {"task_id": "1", "source_id": "b"}, {"task_id": "3"}]}
    first, second, third = answers.started(said, reply(said), ["a", "b", "c"])
    assert isinstance(first, StartRefused)
    assert first.unanswered
    assert first == second
    assert third == Started("3")


async def carried(root: Path, *faults: str | Mapping[str, Any], **options: Any) -> tuple[Workshop, Job]:
    """One file carried while the service misbehaves so, and what became of it."""
    shop = Workshop(root, options=Options(checks_per_minute=PLENTY, **options))
    async with shop:
        shop.sandbox.faults(*faults)
        await shop.drop("ep1.wav")
        (job,) = await shop.rest()
        shop.told = shop.sandbox.state()
    return shop, job


@pytest.mark.parametrize("expires", [0, 1, 86_400, 4_000_000_000, 99_999_999_999])
def test_a_source_is_uploaded_once_whatever_clock_the_service_goes_by(expires: int, tmp_path: Path) -> None:
    fault = {"operation": "upload", "kind": "type", "field": "expires", "value": expires, "count": 0}
    shop, job = run(carried(tmp_path, fault))
    assert job.state is State.DONE
    assert shop.told["counts"]["upload"] == 1
    assert job.expires_at is not None
    assert 22 * 3600 < job.expires_at - job.created_at < 26 * 3600
