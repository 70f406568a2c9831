"""Tags in a whole story: the daemon is killed while tracks arrive, and what is delivered in the end is whole, tagged and paid once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutagen.id3 import TIT2
from mutagen.wave import WAVE

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.running import size_below, tree, until, write_wav
from tests.support.tagging import read


def tagged_source(path: Path) -> None:
    beside = path.with_name(".source.wav")
    write_wav(beside, seconds=20.0)
    file = WAVE(beside)
    file.add_tags()
    file.tags.add(TIT2(text=["Song"]))
    file.save()
    beside.rename(path)


@pytest.mark.parametrize("kills", [0, 1, 3])
def test_killed_while_tracks_arrive_each_result_is_whole_and_tagged(
    kills: int, sandbox: Sandbox, make_home: MakeHome
) -> None:
    rate = {"download_rate": "500KB"} if kills else {}
    rule = {"mode": "stem_separator", "presets": {"stem": "vocals"}, "manifest": True}
    home = make_home(sandbox.url, [rule], transfers=rate)
    home.start()
    tagged_source(home.inbox / "song.wav")
    staging = home.outbox / ".lalald-staging"
    for _ in range(kills):
        seen = size_below(staging)
        until(lambda seen=seen: size_below(staging) != seen, "more of the tracks has arrived")
        home.kill()
        assert [name for name in tree(home.outbox) if not name.startswith(".")] == []
        home.start()

    until(lambda: tree(home.inbox) == ["done/song.wav"], "the source was archived")
    names = ["song/lalald.json", "song/no_vocals.wav", "song/vocals.wav"]
    assert [name for name in tree(home.outbox) if not name.startswith(".")] == names
    for label in ("vocals", "no_vocals"):
        assert read(home.outbox / "song" / f"{label}.wav").tags.first("title") == f"Song ({label})"
    (task,) = json.loads((home.outbox / "song/lalald.json").read_text())["tasks"]
    assert all(track["sha256"] != track["sent_sha256"] for track in task["tracks"])
    assert len(sandbox.state()["charges"]) == 1
    assert home.stop() == 0
