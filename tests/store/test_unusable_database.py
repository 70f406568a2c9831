"""A database that cannot be used is refused in plain words by the program itself, with 2, and not a byte of it is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lalald.errors import StoreRefusedError
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.store import NewFile, Store
from lalald.store.database import FILE_NAME
from lalald.store.schema.migrations import VERSION
from tests.conftest import MakeHome
from tests.jobs.test_transitions import SETTINGS
from tests.support.private_mounts import dead_mount, in_own_mounts
from tests.support.running import Home, write_wav

Spoil = Callable[[Path], None]


def filled(state: Path) -> Path:
    """A database of some hundred pages, closed in order."""
    store = Store.open(state)
    found = [NewFile("/in", f"{number:04}.wav", number, 1, 1, "r", SETTINGS) for number in range(1000)]
    store.add_files(found, 1.0)
    store.close()
    return state / FILE_NAME


def with_log(state: Path) -> Path:
    """As a kill leaves it: the newest commits are in the write-ahead log alone."""
    path = filled(state)
    store = Store.open(state)
    for number in range(5):
        store.add_files([NewFile("/in", f"late {number}.wav", 1, 1, 1, "r", SETTINGS)], 1.0)
    left = {name: (state / name).read_bytes() for name in (FILE_NAME, f"{FILE_NAME}-wal")}
    store.close()
    for name, content in left.items():
        (state / name).write_bytes(content)
    return path


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def header(state: Path) -> None:
    overwrite(filled(state), 0, b"x" * 100)


def middle_page(state: Path) -> None:
    path = filled(state)
    for page in range(20, 30):
        overwrite(path, page * 4096, b"\xff" * 4096)


def truncated(state: Path) -> None:
    path = filled(state)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def middle_page_beside_a_log(state: Path) -> None:
    path = with_log(state)
    for page in range(20, 30):
        overwrite(path, page * 4096, b"\xff" * 4096)


def newer(state: Path) -> None:
    connection = sqlite3.connect(filled(state))
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def foreign(state: Path) -> None:
    state.mkdir()
    connection = sqlite3.connect(state / FILE_NAME)
    connection.execute("CREATE TABLE songs (title)")
    connection.commit()
    connection.close()


def no_database(state: Path) -> None:
    state.mkdir()
    (state / FILE_NAME).write_bytes(b"a picture of a cat " * 1000)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (header, "damaged or no database"),
        (middle_page, "is damaged"),
        (truncated, "is damaged"),
        (middle_page_beside_a_log, "is damaged"),
        (newer, "newer lalald"),
        (foreign, "another program"),
        (no_database, "damaged or no database"),
    ],
)
def test_it_is_refused_and_left_as_it_is(spoil: Spoil, words: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    spoil(state)
    before = contents(state)
    with pytest.raises(StoreRefusedError, match="it was left as it is") as refused:
        Store.open(state)
    assert words in str(refused.value)
    assert contents(state).items() >= before.items()


def test_a_newer_database_is_refused_with_the_way_back_and_never_with_an_empty_state_folder(tmp_path: Path) -> None:
    """It said "or choose another `state_dir`": a daemon with an empty one pays for everything again."""
    state = tmp_path / "state"
    newer(state)
    hints = []
    for copy in ("", f"version-{VERSION + 1}", f"version-{VERSION - 2}", f"version-{VERSION}"):
        if copy:
            (state / f"{FILE_NAME}.{copy}").touch()
        with pytest.raises(StoreRefusedError) as refused:
            Store.open(state)
        assert "state_dir" not in refused.value.hint
        hints.append(refused.value.hint)
    assert ["backup of the state folder" in hint for hint in hints] == [True, True, False, False]
    assert f"{FILE_NAME}.version-{VERSION - 2}," in hints[2]
    assert f"{FILE_NAME}.version-{VERSION}," in hints[3]


def contents(state: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in state.iterdir() if path.name in (FILE_NAME, f"{FILE_NAME}-wal")}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(middle_page_beside_a_log, "is damaged"), (newer, "newer lalald"), (foreign, "another program")],
)
def test_the_program_says_so_in_plain_words(spoil: Spoil, words: str, sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    spoil(home.state)
    write_wav(home.inbox / "ep1.wav")
    before = contents(home.state)

    ended = home.command("run")

    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "it was left as it is" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert contents(home.state).items() >= before.items()
    assert sandbox.state()["counts"] == {}, "no request was sent"


def test_a_log_with_a_torn_end_gives_what_was_committed(sandbox: Sandbox, make_home: MakeHome) -> None:
    """A power cut in the middle of a commit: SQLite's own way, and no reason to refuse anything."""
    home = make_home(sandbox.url)
    with_log(home.state)
    log = home.state / f"{FILE_NAME}-wal"
    overwrite(log, log.stat().st_size - 2000, b"\xff" * 2000)
    store = Store.open(home.state)
    names = store.known_in("/in", "")
    store.close()
    assert "late 3.wav" in names
    assert "late 4.wav" not in names


@pytest.mark.parametrize("what", ["tasks_running", "files"])
def test_damage_that_is_found_while_it_runs_ends_it_in_plain_words(
    what: str, sandbox: Sandbox, make_home: MakeHome
) -> None:
    ends_for_its_damage(make_home(sandbox.url), what)


def test_damage_that_is_found_ends_it_though_a_share_keeps_a_thread(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            with dead_mount(home.outbox):
                ends_for_its_damage(home, "files")

    in_own_mounts(story)


def ends_for_its_damage(home: Home, what: str) -> None:
    path = filled(home.state)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE jobs SET stage = 'done', state = 'done'")
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (what,)).fetchone()
    connection.commit()
    process = home.start()
    overwrite(path, (page - 1) * 4096, b"\xff" * 4096)
    connection.execute("UPDATE jobs SET updated_at = 2 WHERE id = 1")  # so that the daemon reads its pages again
    connection.commit()
    write_wav(home.inbox / "ep1.wav")

    assert process.wait(10) == 2
    connection.close()
    said = home.log.read_text()
    assert "is damaged" in said
    assert "Traceback" not in said
