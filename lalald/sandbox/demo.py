"""A demonstration: real sounds, a sandbox, the real daemon, every mode."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox

PROCESSING_SECONDS = 3.0
_RATE = 16_000


@dataclass(frozen=True, slots=True)
class Scene:
    """One source file, and the tasks of its rule."""

    folder: str
    file: str
    seconds: float
    pitches: tuple[float, ...]
    tasks: tuple[Mapping[str, Any], ...]


# Every price, seconds / 60 × stems, is a whole tenth of a minute: prices are rounded up, and so would not add up to the total.
SCENES = (
    Scene("karaoke", "song.wav", 12, (220, 277, 330), ({"mode": "stem_separator", "presets": {"stem": "vocals"}},)),
    Scene(
        "choir", "hymn.wav", 12, (262, 330, 392),
        ({"mode": "stem_separator", "presets": {"stem": "vocals", "multivocal": "lead_back"}},),
    ),
    Scene("remix", "groove.wav", 9, (110, 165), ({"mode": "multistem", "presets": {"stem_list": ["drum", "bass"]}},)),
    Scene("radio", "speech.wav", 12, (180, 181), ({"mode": "demuser"},)),
    Scene("podcasts", "episode.wav", 12, (140, 150), ({"mode": "voice_clean", "presets": {"noise_cancelling_level": 2}},)),
    Scene("dubbing", "scene.wav", 6, (200, 300), ({"mode": "change_voice", "presets": {"voice_pack_id": "ALEX_KAYE"}},)),
    Scene(
        "album", "track.wav", 12, (196, 247, 294),
        (
            {"name": "voice", "mode": "stem_separator", "presets": {"stem": "vocals"}},
            {"name": "rhythm", "mode": "multistem", "presets": {"stem_list": ["drum"]}},
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Demo:
    """The folders of a running demonstration, and its daemon."""

    root: Path
    process: subprocess.Popen[bytes]

    @property
    def state_dir(self) -> Path:
        return self.root / "state"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"

    @property
    def log(self) -> Path:
        return self.root / "lalald.log"


@contextmanager
def run_demo(root: Path) -> Iterator[Demo]:
    """Run `lalald run --once` in `root`, on the scenes' files, with a sandbox that stops with the block.

    Raises SandboxError if starlette or uvicorn is not installed.
    """
    with Sandbox(Options(processing_seconds=PROCESSING_SECONDS)) as sandbox:
        for scene in SCENES:
            write_sound(root / "inbox" / scene.folder / scene.file, scene.seconds, scene.pitches)
        (root / "outbox").mkdir()
        config = root / "config.yaml"
        config.write_text(yaml.safe_dump(_configuration(root, sandbox.url), sort_keys=False), encoding="utf-8")
        process = _start(root, config)
        try:
            yield Demo(root, process)
        finally:
            process.terminate()
            process.wait()


def _start(root: Path, config: Path) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LALALD_")}
    environ["LALALD_LICENSE_KEY"] = "the-demo-needs-no-key"
    with (root / "lalald.log").open("wb") as log:
        command = [sys.executable, "-m", "lalald", "--config", os.fspath(config), "run", "--once"]
        return subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603 - this program


def _configuration(root: Path, api_url: str) -> dict[str, Any]:
    rules = [{"name": scene.folder, "match": [f"{scene.folder}/"], **_rule_tasks(scene)} for scene in SCENES]
    inbox = {"path": str(root / "inbox"), "outbox": str(root / "outbox"), "settle": "0s", "rules": rules}
    return {"api_url": api_url, "state_dir": str(root / "state"), "inboxes": [inbox]}


def _rule_tasks(scene: Scene) -> dict[str, Any]:
    if len(scene.tasks) == 1:
        return dict(scene.tasks[0])
    return {"tasks": [dict(task) for task in scene.tasks], "output": "{dir}/{name}/{task}/{label}.{ext}"}


def write_sound(path: Path, seconds: float, pitches: tuple[float, ...]) -> None:
    """Write a WAV of a few pure tones that swell once a second: 16 bit, mono, 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = []
    for place in range(int(seconds * _RATE)):
        moment = place / _RATE
        tone = sum(math.sin(2 * math.pi * pitch * moment) for pitch in pitches) / len(pitches)
        samples.append(struct.pack("<h", int(14_000 * tone * (0.6 + 0.4 * math.sin(2 * math.pi * moment)))))
    with wave.open(os.fspath(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(b"".join(samples))
