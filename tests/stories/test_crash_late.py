"""Killed while a job is delivered in two parts, around any commit and any change of a file: the end is the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.support import SUPPORT
from tests.support.late_delivery_process import LOST
from tests.support.running import tree
from tests.support.worker_driver import PLENTY


def carried(root: Path, sandbox: Sandbox, moment: str, number: int) -> int:
    dying = SUPPORT.joinpath("late_delivery_process.py")
    command = [sys.executable, str(dying), str(root), sandbox.url, moment, str(number)]
    ended = subprocess.run(command, capture_output=True, timeout=90, check=False)
    assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr.decode()[-3000:]
    return ended.returncode


def killed(root: Path, moment: str, number: int) -> int:
    with Sandbox(Options(checks_per_minute=PLENTY)) as sandbox:
        sandbox.faults(LOST)
        died = carried(root, sandbox, moment, number)
        content = (root / "inbox" / "ep1.wav").read_bytes() if (root / "inbox" / "ep1.wav").exists() else None
        assert carried(root, sandbox, moment, 0) == 0
        state = sandbox.state()
    assert len(state["charges"]) == 1
    assert tree(root / "inbox") == ["done/ep1.wav"]
    filed = (root / "inbox" / "done" / "ep1.wav").read_bytes()
    assert content in (None, filed)
    assert tree(root / "outbox") == ["ep1/lalald.json", "ep1/no_vocals.wav", "ep1/vocals.wav"]
    for label in ("vocals", "no_vocals"):
        assert (root / "outbox" / "ep1" / f"{label}.wav").read_bytes() == track_bytes(filed, label, "ep1.wav")
    manifest = json.loads((root / "outbox" / "ep1" / "lalald.json").read_text())
    assert (manifest["warnings"], len(manifest["tasks"][0]["tracks"])) == ([], 2)
    return died


SURE_COMMITS = 24  # a busy machine saves more in one commit, so that later ones may not come
POINTS = [
    *(("commit", number) for number in (2, 24, 31, 35, 36, 40, 41, 44, 47)),
    *(("file", number) for number in (3, 11, 18, 26, 34, 38, 42)),
]


@pytest.mark.parametrize(("moment", "number"), POINTS)
def test_killed_in_a_delivery_of_two_parts_it_ends_the_same(moment: str, number: int, tmp_path: Path) -> None:
    died = killed(tmp_path, moment, number) == -signal.SIGKILL
    assert died or (moment == "commit" and number > SURE_COMMITS), "there is such a moment"


if __name__ == "__main__":  # every moment there is
    import tempfile

    for kind in sys.argv[1:] or ("commit", "file"):
        for n in range(1, 1000):
            with tempfile.TemporaryDirectory() as folder:
                if killed(Path(folder), kind, n) == 0:
                    print(f"{kind}: {n - 1} moments")  # noqa: T201 - by hand it prints its figures
                    break
