"""Each recipe, written by `lalald init` and run by the real daemon: exactly the files that the guide shows, with their source's tags."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mutagen.id3 import ID3, TIT2, TPE1
from mutagen.wave import WAVE

from lalald.commands.init import RECIPES
from lalald.config import load
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.conftest import MakeHome
from tests.support import ROOT, sounds
from tests.support.running import Home, tree, until, write_wav
from tests.support.tagging import read

GUIDE = (ROOT / ".github/guides/recipes.md").read_text(encoding="utf-8")
CHARGED = {"dj-stems": 3, "dubbing": 2}  # times the file's length; 1 where it is not said
TITLES = {
    "karaoke": {"outbox/ABBA - Fernando (Instrumental).mp3": "Title (Instrumental)"},
    "ultrastar": {
        "outbox/ABBA - Fernando/ABBA - Fernando [INSTR].mp3": "Title [INSTR]",
        "outbox/ABBA - Fernando/ABBA - Fernando [VOC].mp3": "Title [VOC]",
    },
    "dj-stems": {f"outbox/Fernando/{label}.wav": f"Title ({label})" for label in ("bass", "drums", "other", "vocals")},
    "podcast": {"outbox/episode 12 (clean).flac": "Title"},
    "dubbing": {f"outbox/trailer/{label}.wav": f"Title ({label})" for label in ("dubbed", "music")},
    "transcription": {},
}


def shown(recipe: str) -> tuple[list[str], list[str]]:
    """What the guide drops, and what it says is there afterwards."""
    section = re.search(rf"^## {recipe}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert section is not None
    block = re.search(r"^```text\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert block is not None
    dropped, found = block[1].strip().split("\n\n")
    return dropped.splitlines(), found.splitlines()


@pytest.fixture
def home(sandbox: Sandbox, make_home: MakeHome) -> Home:
    made = make_home(sandbox.url)
    made.config.unlink()
    made.variables["LALALD_API_URL"] = sandbox.url
    return made


def dropped_source(path: Path, making: Path) -> bytes:
    """Sound with a title and an artist, moved to its place once it is whole."""
    making.mkdir(exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return source(making / path.name).rename(path).read_bytes()


def source(path: Path) -> Path:
    tags: Any
    if path.suffix == ".wav":
        write_wav(path)
        file = WAVE(path)
        file.add_tags()
        tags = file.tags
    else:
        sounds.write(path, sounds.mp3(2))
        tags = file = ID3()
    tags.add(TIT2(text=["Title"]))
    tags.add(TPE1(text=["Artist"]))
    file.save(path)
    return path


def test_every_recipe_is_in_the_guide_and_nothing_else() -> None:
    table = re.findall(r"^\| \[([\w-]+)\]\(#\1\) \| .* \| (?:(\d) × )?its length \|$", GUIDE, re.MULTILINE)
    assert sorted(name for name, _ in table) == sorted(RECIPES) == sorted(TITLES)
    assert {name: int(factor) for name, factor in table if factor} == CHARGED
    for name in RECIPES:
        assert f"--recipe {name}\n" in GUIDE


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_makes_what_the_guide_shows(recipe: str, home: Home, sandbox: Sandbox) -> None:
    written = home.command("init", str(home.root), "--recipe", recipe)
    assert written.returncode == 0, written.stderr
    text = home.config.read_text()
    home.config.write_text(text.replace("    existing:", "    settle: 0s\n    existing:"))
    checked = home.command("check-config", "--json")
    assert (checked.returncode, json.loads(checked.stdout)["warnings"]) == (0, [])
    dropped, expected = shown(recipe)
    home.start()
    contents = {name: dropped_source(home.root / name, home.root / "making") for name in dropped}
    jobs = until(lambda: [job for job in home.jobs() if job["state"] == "done"], "the file is done")
    assert len(home.jobs()) == 1, "one of the files is processed, and charged"

    assert sorted(f"{top}/{name}" for top in ("inbox", "outbox") for name in tree(home.root / top)) == sorted(expected)
    assert jobs[0]["warning"] is None
    for path, title in TITLES[recipe].items():
        tags = read(home.root / path).tags
        assert (tags.first("title"), tags.first("artist")) == (title, "Artist"), path
    charges = sandbox.state()["charges"]
    length = jobs[0]["duration"] / 60
    assert sum(charge["minutes"] for charge in charges) == pytest.approx(length * CHARGED.get(recipe, 1), abs=0.02)
    for name, content in contents.items():
        (kept,) = (home.root / path for path in expected if Path(path).name == Path(name).name)
        assert kept.read_bytes() == content
    if recipe == "transcription":
        sent = track_bytes(contents[dropped[0]], "voice", "interview.mp3")
        assert (home.outbox / "interview/voice.wav").read_bytes() == sent
    assert home.stop() == 0


def test_an_unknown_recipe_names_the_known_ones_and_writes_nothing(home: Home) -> None:
    done = home.command("init", str(home.root / "new"), "--recipe", "kareoke")
    assert done.returncode == 2
    assert 'unknown recipe "kareoke"' in done.stderr
    assert 'Did you mean "karaoke"?' in done.stderr
    assert all(name in done.stderr for name in RECIPES)
    assert not (home.root / "new").exists()


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_is_a_configuration_with_its_own_folder(recipe: str, tmp_path: Path, home: Home) -> None:
    assert home.command("init", str(tmp_path / "new"), "--recipe", recipe).returncode == 0
    config = load(tmp_path / "new" / "config.yaml", {"HOME": str(tmp_path)})
    (inbox,) = config.inboxes
    assert (inbox.path, inbox.outbox, config.state_dir) == tuple(
        tmp_path / "new" / name for name in ("inbox", "outbox", "state")
    )
    assert [rule.name for rule in inbox.rules] == [recipe]
