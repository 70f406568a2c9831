"""`lalald demo`: what it shows, and what remains of it, after Ctrl-C too."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lalald.commands.demo import BAR_WIDTH
from lalald.commands.output.lines import Cell, columns, plain
from lalald.commands.output.tables import bar_cell
from lalald.jobs.spending.prices import minutes
from lalald.jobs.states import Stage, State
from lalald.sandbox.demo import SCENES
from tests.support.running import until

# A shell ignores SIGINT for what it runs in the background, and so do all processes below: the tests may be among them.
_INTERRUPTIBLE = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("lalald", run_name="__main__", alter_sys=True)
"""


def start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "dumb"}
    return subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTIBLE, "demo", *words],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def group_of(leader: int) -> list[int]:
    """The processes of its group that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_ctrl_c_ends_a_demo_without_a_traceback_and_cleans_up(tmp_path: Path) -> None:
    demo = start(tmp_path)
    until(lambda: list(tmp_path.glob("lalald-demo-*/state/lalald.sqlite3")), "its daemon has begun")
    os.killpg(demo.pid, signal.SIGINT)
    out, complaints = demo.communicate(timeout=30)
    assert (demo.returncode, complaints) == (130, "")
    assert "Interrupted: the sandbox and the daemon are stopped.\n" in out
    assert "was temporary and is deleted. `lalald demo --keep DIR` keeps everything in a folder of yours." in out
    assert not list(tmp_path.iterdir())
    assert group_of(demo.pid) == []


def test_a_demo_keeps_its_files_in_the_folder_named_by_keep(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    demo = start(tmp_path, "--keep", str(kept))
    out, complaints = demo.communicate(timeout=120)
    assert (demo.returncode, complaints) == (0, "")
    assert out.endswith(f"Everything is kept in {kept}.\n")
    assert (kept / "outbox/karaoke/song/vocals.wav").exists()
    again = start(tmp_path, "--keep", str(kept))
    assert again.communicate(timeout=30) == ("", f"lalald: {kept} already exists.\n  Name a new folder for the demo.\n")
    assert again.returncode == 2


def test_a_temporary_demo_says_that_its_folder_is_gone(tmp_path: Path) -> None:
    demo = start(tmp_path)
    out, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0
    assert "was temporary and is deleted." in out.splitlines()[-1]
    assert not list(tmp_path.iterdir())
    shown = [float(price) for price in re.findall(r"^  \S+/\S+ .* (\d+\.\d)$", out, re.MULTILINE)]
    total = re.search(r"^  total +(\d+\.\d)$", out, re.MULTILINE)
    assert total is not None
    assert len(shown) == len(SCENES)
    assert sum(shown) == pytest.approx(float(total[1])), "a reader adds them up"


def test_the_prices_of_the_demo_are_whole_tenths_of_a_minute() -> None:
    for scene in SCENES:
        for task in scene.tasks:
            tenths = 10 * minutes(scene.seconds, task["mode"], task.get("presets", {}))
            assert tenths == pytest.approx(round(tenths)), scene.file


def test_the_progress_of_the_demo_fits_80_columns() -> None:
    word = max((*Stage, *State), key=len)
    rows = [
        (Cell(f"{scene.folder}/{scene.file}"), Cell(" + ".join(task["mode"] for task in scene.tasks)), Cell(word), bar_cell(100, BAR_WIDTH))
        for scene in SCENES
    ]  # fmt: skip
    assert [line for line in plain(columns(rows, 80)).splitlines() if len(line) > 80] == []
