"""Drop a file, get the stems: the first tests to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.conftest import MakeHome
from tests.support.running import tree, until, write_wav

MODES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "stem_separator": ({"stem": "vocals"}, ["no_vocals", "vocals"]),
    "lead_back": (
        {"stem": "vocals", "multivocal": "lead_back"},
        ["mix_no_lead", "no_vocals", "vocals@0", "vocals@1"],
    ),
    "multistem": ({"stem_list": ["drum", "bass"]}, ["bass", "drum", "no_multistem"]),
    "demuser": ({}, ["music", "no_music"]),
    "voice_clean": ({"noise_cancelling_level": 2}, ["no_voice", "voice"]),
    "change_voice": ({"voice_pack_id": "ALEX_KAYE"}, ["converted_mix"]),
}


def rule_for(story: str) -> dict[str, Any]:
    mode = "stem_separator" if story == "lead_back" else story
    return {"name": story, "match": [f"{story}/"], "mode": mode, "presets": MODES[story][0]}


@pytest.mark.parametrize("story", MODES)
def test_a_dropped_file_ends_in_the_outbox(story: str, sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [rule_for(story)])
    home.start()
    content = write_wav(home.inbox / story / "ep1.wav")

    until(lambda: tree(home.inbox) == [f"done/{story}/ep1.wav"], "the source was filed away")

    labels = MODES[story][1]
    assert tree(home.outbox) == [f"{story}/ep1/{label}.wav" for label in labels]
    for label in labels:
        assert (home.outbox / story / "ep1" / f"{label}.wav").read_bytes() == track_bytes(content, label, "ep1.wav")
    assert (home.inbox / "done" / story / "ep1.wav").read_bytes() == content
    state = sandbox.state()
    assert all(source["deleted_at"] for source in state["sources"])
    assert len(state["charges"]) == 1
    assert home.stop() == 0


def test_one_run_processes_a_file_for_every_mode(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [rule_for(story) for story in MODES])
    contents = {story: write_wav(home.inbox / story / "ep1.wav", pitch=200 + 10 * n) for n, story in enumerate(MODES)}

    answer = home.command("run", "--once")

    assert answer.returncode == 0, answer.stderr
    expected = sorted(f"{story}/ep1/{label}.wav" for story, (_, labels) in MODES.items() for label in labels)
    assert tree(home.outbox) == expected
    for path in expected:
        story, _, name = path.split("/")
        assert (home.outbox / path).read_bytes() == track_bytes(contents[story], Path(name).stem, "ep1.wav")
    assert tree(home.inbox) == sorted(f"done/{story}/ep1.wav" for story in MODES)
    assert all(source["deleted_at"] for source in sandbox.state()["sources"])
