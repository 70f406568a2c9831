"""What public clients send although the document does not allow it is accepted and recorded, or refused with --strict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service import leniency
from tests.support.sandbox_client import Caller

VOICE = {"stem": "voice"}


@pytest.fixture
def caller(sandbox: Sandbox) -> Caller:
    return Caller(sandbox)


@pytest.fixture
def strict() -> Iterator[tuple[Sandbox, Caller]]:
    with Sandbox(Options(strict=True)) as sandbox:
        yield sandbox, Caller(sandbox)


def last_doubts(sandbox: Sandbox) -> tuple[str, ...]:
    return tuple(sandbox.state()["requests"][-1]["doubts"])


@pytest.mark.parametrize(
    ("mode", "presets"),
    [
        ("stem_separator", {"stem": "vocals"}),
        ("stem_separator", {"stem": "wind"}),
        ("multistem", {"stem_list": ["vocals", "drum"]}),
        ("demuser", {"stem": "music"}),
        ("voice_clean", VOICE),
    ],
)
def test_splitter_auto_is_accepted(sandbox: Sandbox, caller: Caller, mode: str, presets: dict[str, Any]) -> None:
    task_id = caller.task(caller.upload(), mode, **presets, splitter="auto")
    assert last_doubts(sandbox) == (leniency.AUTO_SPLITTER,)
    assert caller.checked(task_id)["status"] == "success"


def test_splitter_auto_is_accepted_in_a_batch(sandbox: Sandbox, caller: Caller) -> None:
    items = [{"source_id": caller.upload(), "presets": {"stem": "voice", "splitter": "auto"}} for _ in range(2)]
    results = caller.post("split/batch/voice_clean", {"items": items}).json()["results"]
    assert [result["status"] for result in results] == ["success", "success"]
    assert last_doubts(sandbox) == (leniency.AUTO_SPLITTER,)


def test_a_whole_number_may_have_a_decimal_point(sandbox: Sandbox, caller: Caller) -> None:
    """JSON Schema, section 6.1.1: 1.0 is an integer."""
    caller.task(caller.upload(), noise_cancelling_level=1.0, stem="voice")
    assert last_doubts(sandbox) == ()
    assert caller.split(caller.upload(), noise_cancelling_level=1.5, stem="voice").status_code == 422


def test_a_path_without_its_slash_is_accepted_and_recorded(sandbox: Sandbox, caller: Caller) -> None:
    assert caller.request("POST", "/api/v1/limits/minutes_left").json() == {"minutes_left": 1000}
    (entry,) = sandbox.state()["requests"]
    assert (entry["operation"], entry["doubts"]) == ("minutes", (leniency.NO_SLASH,))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_json_with_another_content_type_is_accepted_and_recorded(sandbox: Sandbox, caller: Caller, kind: str) -> None:
    answer = caller.post("check", content=b'{"task_ids": []}', headers={"Content-Type": kind})
    assert (answer.status_code, last_doubts(sandbox)) == (200, (leniency.OTHER_TYPE,))


def test_ids_without_dashes_are_accepted_and_recorded(sandbox: Sandbox, caller: Caller) -> None:
    source_id = caller.upload()
    task_id = caller.task(source_id.replace("-", ""))
    assert last_doubts(sandbox) == (leniency.BARE_UUID,)
    answer = caller.post("check", {"task_ids": [task_id.replace("-", "")]}).json()
    assert answer["result"][task_id]["status"] == "success"
    assert last_doubts(sandbox) == (leniency.BARE_UUID,)


def test_strict_refuses_all_of_it(strict: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = strict
    source_id = caller.upload()
    answers = [
        caller.split(source_id, "stem_separator", stem="vocals", splitter="auto"),
        caller.split(source_id.replace("-", "")),
        caller.post("check", content=b'{"task_ids": []}', headers={"Content-Type": "text/plain"}),
        caller.request("POST", "/api/v1/limits/minutes_left"),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 404]
    assert answers[0].json()["detail"][0]["loc"] == ["body", "split_input", "presets", "splitter"]
    assert caller.split(source_id, noise_cancelling_level=1.0, stem="voice").status_code == 200
    assert len(sandbox.state()["charges"]) == 1
