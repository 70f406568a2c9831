"""Two daemons: a state folder has one; with state folders of their own they may share an outbox."""

from __future__ import annotations

import itertools
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from lalald.errors import FolderUnavailableError
from lalald.outbox.placement_probe import try_placement
from lalald.sandbox.server import Sandbox
from lalald.sandbox.service.tracks import track_bytes
from tests.conftest import MakeHome
from tests.support.running import Home, tree, until, write_wav


def test_a_second_daemon_on_a_state_folder_is_refused_and_the_first_continues(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    home.start()
    second = home.command("run")
    assert second.returncode == 3
    assert "another lalald is running with the state folder" in second.stderr
    assert "Traceback" not in second.stderr
    content = write_wav(home.inbox / "ep1.wav")
    (job,) = home.rest()
    assert job["state"] == "done"
    assert (home.outbox / "ep1/vocals.wav").read_bytes() == track_bytes(content, "vocals", "ep1.wav")


TESTS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from lalald.filesystem import placeholders
from lalald.outbox.placement_probe import try_placement
from lalald.stages.precharge.source_probe import MoveTarget, try_source_moves

owner, folder = sys.argv[1:]
placeholders.set_owner(owner)

def attempt(number):
    try_placement(folder, f"ep{number % 4}", overwrites=bool(number % 3))
    try_source_moves(folder, (MoveTarget(folder, "done"),))

with ThreadPoolExecutor(4) as pool:
    list(pool.map(attempt, range(80)))
"""


def test_two_daemons_that_test_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TESTS]
    both = [subprocess.Popen([*command, owner, tmp_path], stderr=subprocess.PIPE, text=True) for owner in "ab"]
    assert [process.communicate(timeout=60)[1] for process in both] == ["", ""]
    assert [*tmp_path.iterdir()] == []


def test_a_staging_folder_that_cannot_be_entered_ends_the_test(tmp_path: Path) -> None:
    (tmp_path / ".lalald-staging").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FolderUnavailableError, match="cannot create a folder"):
        try_placement(str(tmp_path), "song", overwrites=False)


def is_done(home: Home, files: int) -> bool:
    return [job["state"] for job in home.rest()] == ["done"] * files


def test_two_daemons_share_an_outbox_and_no_results_share_a_name(
    sandbox: Sandbox, make_home: MakeHome, tmp_path: Path
) -> None:
    outbox = tmp_path / "shared"
    outbox.mkdir()
    homes = [make_home(sandbox.url, inbox={"outbox": str(outbox)}) for _ in range(2)]
    pitches = itertools.count(200)
    for home in homes:
        home.start()
    names = [f"ep{number}.wav" for number in range(4)]
    contents = {name: [write_wav(home.inbox / name, pitch=next(pitches)) for home in homes] for name in names}
    for home in homes:
        # `rest` includes held jobs, whose holds may end
        until(partial(is_done, home, len(names)), "all of its files are done")
        assert home.stop() == 0

    assert len(tree(outbox)) == 2 * 2 * len(names)
    for name, dropped in contents.items():
        stem = Path(name).stem
        found = {(outbox / folder / "vocals.wav").read_bytes() for folder in (stem, f"{stem} (2)")}
        assert found == {track_bytes(content, "vocals", name) for content in dropped}
    assert not (outbox / ".lalald-staging").exists()


def test_two_daemons_on_one_inbox_lose_no_file(sandbox: Sandbox, make_home: MakeHome, tmp_path: Path) -> None:
    """Each knows of its own jobs only, so that both may pay. The one that files second finds the file where it belongs."""
    inbox = tmp_path / "shared"
    inbox.mkdir()
    homes = [make_home(sandbox.url, inbox={"path": str(inbox)}) for _ in range(2)]
    sandbox.faults("upload:503*0")
    for home in homes:
        home.start()
    contents = {f"ep{number}.wav": write_wav(inbox / f"ep{number}.wav", pitch=200 + number) for number in range(4)}
    for home in homes:
        until(lambda home=home: len(home.jobs()) == len(contents), "it knows them all")  # type: ignore[misc] # bound here
    sandbox.faults()
    until(lambda: tree(inbox) == [f"done/{name}" for name in contents], "all is filed away")
    jobs = [job for home in homes for job in home.rest()]
    assert [home.stop() for home in homes] == [0, 0]

    assert {job["state"] for job in jobs} <= {"done", "cancelled"}, (
        "a file may be gone before the second one uploads it"
    )
    for name, content in contents.items():
        assert (inbox / "done" / name).read_bytes() == content
        results = [home.outbox / name.removesuffix(".wav") / "vocals.wav" for home in homes]
        there = [path.read_bytes() for path in results if path.exists()]
        assert set(there) == {track_bytes(content, "vocals", name)}
