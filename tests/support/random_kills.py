"""The real daemon killed again and again, at seeded random moments, while a reader watches its outbox.

    python random_kills.py [SEED [KILLS [FILES]]]             the long run, by hand: prints its figures
    python random_kills.py SEED KILLS FILES elsewhere         outbox and done folder on shares of their own: files are copied there


What is looked for all the time: no file is written under a name that others can see. At the end: each task was charged once, every
file was delivered once, and nothing is left over, here or on the service.
"""

# ruff: noqa: T201 - by hand it prints its figures

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts
from tests.support.running import Home, tree, until, write_wav

RULE: dict[str, Any] = {
    "name": "both",
    "output": "{dir}/{name}/{task}/{label}.{ext}",
    "manifest": True,
    "tasks": [
        {"name": "voice", "mode": "voice_clean"},
        {"name": "band", "mode": "multistem", "presets": {"stem_list": ["drum", "bass"]}},
    ],
}
DELIVERED = {"band/bass.wav", "band/drum.wav", "band/no_multistem.wav", "voice/no_voice.wav", "voice/voice.wav"}
QUEUE_SECONDS = 20.0  # while a task waits in the queue its key gives its id again; the next start comes within it


def done_folder(home: Home) -> Path:
    return home.inbox / home.settings["inboxes"][0].get("done_dir", "done")


def check_the_end(home: Home, sandbox: Sandbox, contents: dict[str, bytes]) -> None:
    """Every file delivered once and whole, charged once, its source filed; nothing left over anywhere."""
    done = done_folder(home)
    expected = {f"{name}/{path}" for name in contents for path in (*DELIVERED, "lalald.json")}
    assert set(tree(home.outbox)) == expected
    for name, content in contents.items():
        for path in DELIVERED:
            label = Path(path).stem
            assert (home.outbox / name / path).read_bytes() == track_bytes(content, label, f"{name}.wav")
        assert (done / f"{name}.wav").read_bytes() == content
    assert tree(done) == sorted(f"{name}.wav" for name in contents)
    assert [path for path in tree(home.inbox) if not (home.inbox / path).is_relative_to(done)] == []
    state = sandbox.state(requests=False)
    digests = Counter(charge["sha256"] for charge in state["charges"])
    assert len(digests) == len(contents)
    assert set(digests.values()) == {2}, "each file is charged for its two tasks, once"
    finished = {charge["source_id"] for charge in state["charges"]}
    assert all(source["deleted_at"] for source in state["sources"] if source["id"] in finished)


class Witness(threading.Thread):
    """Looks at the outbox all the time: what is to be seen there is whole the first time that it is seen, and stays."""

    def __init__(self, outbox: Path, contents: dict[str, bytes]) -> None:
        super().__init__(name="witness")
        self.over = threading.Event()
        self.looks = 0
        self.complaints: list[str] = []
        self.whole: set[str] = set()
        self._outbox = outbox
        self._contents = contents

    def run(self) -> None:
        while not self.over.wait(0.005):  # between two looks
            self._look()
            self.looks += 1

    def _look(self) -> None:
        there = set(self._visible())
        self.complaints += [f"{path} went away" for path in self.whole - there]
        for path in there - self.whole:
            if not self._is_whole(path):
                self.complaints.append(f"{path} was seen before it was whole")
        self.whole |= there

    def _visible(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self._outbox):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (os.path.relpath(os.path.join(folder, name), self._outbox) for name in names if name[0] != ".")

    def _is_whole(self, path: str) -> bool:
        content = (self._outbox / path).read_bytes()
        name, label = path.split("/", maxsplit=1)[0], Path(path).stem
        if path.endswith("/lalald.json"):
            return {f"{name}/{track}" for track in DELIVERED} <= set(self._visible()) and bool(json.loads(content))
        return content == track_bytes(self._contents[name], label, f"{name}.wav")


@dataclass
class Figures:
    """What a run came to."""

    kills: int = 0
    before_ready: int = 0
    looks: int = 0
    seen: int = 0
    stops: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    charges: int = 0
    orphans: int = 0  # uploads whose answer a kill has lost; they cost nothing and expire
    ranges: int = 0


def kill_again_and_again(
    home: Home, sandbox: Sandbox, chance: random.Random, *, kills: int, files: int, seconds: float, longest: float
) -> Figures:
    """Drops `files`, a few at a time, kills the daemon `kills` times meanwhile, lets it end in peace, and looks at everything."""
    contents: dict[str, bytes] = {}
    witness, figures = Witness(home.outbox, contents), Figures()
    witness.start()
    try:
        for place in range(kills):
            for n in range(place * files // kills, (place + 1) * files // kills):
                contents[f"ep{n}"] = write_wav(home.inbox / f"ep{n}.wav", seconds, pitch=200 + n)
            _kill_once(home, chance, figures, longest)
        home.start()
        filed = sorted(f"{name}.wav" for name in contents)
        until(lambda: tree(done_folder(home)) == filed, "every source was filed", 120)
        home.stop()
    finally:
        witness.over.set()
        witness.join()
    assert witness.complaints == []
    assert witness.looks
    check_the_end(home, sandbox, contents)
    assert not (home.outbox / ".lalald-staging").exists(), "nothing is left in staging"
    return _counted(figures, sandbox, witness)


def _kill_once(home: Home, chance: random.Random, figures: Figures, longest: float) -> None:
    """At any moment of a start, or so long after it; one in ten is asked to stop instead."""
    starting = chance.random() < 0.2
    process = home.start(wait=not starting)
    time.sleep(chance.uniform(0.0, 0.6 if starting else longest))  # the moment of the kill is what is tested
    figures.kills += 1
    figures.before_ready += starting
    if not starting and chance.random() < 0.1:
        began = time.monotonic()
        assert home.stop(signal.SIGTERM) == 0
        figures.stops.append(time.monotonic() - began)
    else:
        process.kill()
        process.wait()


def _counted(figures: Figures, sandbox: Sandbox, witness: Witness) -> Figures:
    state = sandbox.state()
    figures.looks, figures.seen = witness.looks, len(witness.whole)
    figures.counts = state["counts"]
    figures.charges = len(state["charges"])
    figures.orphans = sum(source["deleted_at"] is None for source in state["sources"])
    figures.ranges = sum(request["range"] is not None for request in state["requests"])
    return figures


def main(seed: int = 1, kills: int = 100, files: int = 120, place: str = "here") -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lalald-killing-") as folder:
        root = Path(folder)
        if place == "here":
            killed_at_random(root, {}, seed, kills, files)
        else:
            in_own_mounts(lambda: killed_elsewhere(root, seed, kills, files))
    print(f"{time.monotonic() - began:.0f} s")


def killed_elsewhere(root: Path, seed: int, kills: int, files: int) -> None:
    with Share(root / "outbox"), Share(root / "elsewhere") as done:
        killed_at_random(root, {"done_dir": str(done.folder)}, seed, kills, files)


def killed_at_random(root: Path, settings: dict[str, Any], seed: int, kills: int, files: int) -> None:
    options = Options(queue_seconds=QUEUE_SECONDS, processing_seconds=2.0, checks_per_minute=600)
    with Sandbox(options) as sandbox:
        home = Home(
            root, sandbox.url, [RULE], checks_per_minute=600, inbox={"existing": "take", **settings},
            transfers={"uploads": 3, "downloads": 6, "download_rate": "4MB"},
        )  # fmt: skip
        try:
            chance = random.Random(seed)
            print(kill_again_and_again(home, sandbox, chance, kills=kills, files=files, seconds=20.0, longest=1.6))
        except BaseException:
            print(home.log.read_text(errors="replace")[-4000:])
            print(home.command("status").stdout)
            raise


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])
