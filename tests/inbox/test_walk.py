"""The walk over an inbox, and its comparison with the real store."""

from __future__ import annotations

import os
import socket
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lalald.inbox.scanning import walk as scan
from lalald.inbox.scanning.walk import Agreement, Walk, compare
from lalald.store import NewFile, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def fill(inbox: Path, *paths: str) -> None:
    for path in paths:
        (inbox / path).parent.mkdir(parents=True, exist_ok=True)
        (inbox / path).write_bytes(b"abc")


def nothing(_folder: str) -> bool:
    return False


def walk(inbox: Path, **options: object) -> Walk:
    return Walk(str(inbox), **{"skipped": nothing, **options})  # type: ignore[arg-type]


def listed(walked: Walk) -> list[str]:
    return sorted(
        scan.join(listing.folder, name)
        for listings in iter(walked.take, [])
        for listing in listings
        for name, _, _ in listing.files
    )


def differences(store: Store, inbox: Path, agreement: Agreement | None = None) -> tuple[list[str], list[str]]:
    """The paths that are unknown, and those that are gone."""
    agreement = agreement or Agreement()
    agreement.begin(store.generation())
    unknown: list[str] = []
    gone: list[str] = []
    walked = walk(inbox, agreed=agreement.holds)
    while listings := walked.take():
        found = compare(store, str(inbox), listings, agreement)
        unknown += found.unknown
        gone += found.gone
    return sorted(unknown), sorted(gone)


def remember(store: Store, inbox: Path) -> None:
    found = []
    for path in differences(store, inbox)[0]:
        facts = os.lstat(os.path.join(inbox, path))
        found.append(
            NewFile(
                inbox=str(inbox), path=path, size=facts.st_size, mtime_ns=facts.st_mtime_ns, inode=facts.st_ino,
                rule=None, settings=None, note="seen",
            )
        )  # fmt: skip
    store.connection.execute("BEGIN")
    store.add_files(found, 0.0)
    store.connection.execute("COMMIT")


ODD_NAMES = [
    "plain.mp3", "Müller.mp3", "Mu\u0308ller.mp3", "new\nline.mp3", "it's \"quoted\".mp3", "x" * 251 + ".mp3", "日本.mp3", "\U0001f3b5.mp3",
    "\udcff\udcfe.mp3", "a\udc80b.mp3", "-rf", "%s.mp3", "sub/\udcffolder/a.mp3", "sub/ä/b.mp3", "\ue000.mp3",
]  # fmt: skip


def test_every_name_is_found_and_recognized_again(store: Store, inbox: Path) -> None:
    fill(inbox, *ODD_NAMES)
    assert differences(store, inbox) == (sorted(ODD_NAMES), [])
    remember(store, inbox)
    assert differences(store, inbox) == ([], [])


def test_new_changed_and_gone_files_are_reported(store: Store, inbox: Path) -> None:
    fill(inbox, "same.mp3", "longer.mp3", "touched.mp3", "gone.mp3", "sub/gone.mp3", "sub/same.mp3", "\udcffgone.mp3")
    remember(store, inbox)
    (inbox / "longer.mp3").write_bytes(b"abcd")
    os.utime(inbox / "touched.mp3", ns=(5, 5))
    for name in ("gone.mp3", "sub/gone.mp3", "\udcffgone.mp3"):
        (inbox / name).unlink()
    fill(inbox, "new.mp3", "deep/er/new.mp3")
    assert differences(store, inbox) == (
        ["deep/er/new.mp3", "longer.mp3", "new.mp3", "touched.mp3"],
        sorted(["gone.mp3", "sub/gone.mp3", "\udcffgone.mp3"]),
    )


def test_a_large_folder_is_compared_in_parts(store: Store, inbox: Path) -> None:
    names = [f"{number:05}.mp3" for number in range(2 * scan.FILES_AT_ONCE + 7)] + [
        "\udcff1.mp3",
        "\udcff2.mp3",
        "ä.mp3",
    ]
    fill(inbox, *names)
    remember(store, inbox)
    assert differences(store, inbox) == ([], [])
    gone = [names[0], names[scan.FILES_AT_ONCE - 1], names[scan.FILES_AT_ONCE], "\udcff2.mp3"]
    for name in gone:
        (inbox / name).unlink()
    fill(inbox, "000000.mp3", "zzz.mp3", "\udcff0.mp3")
    assert differences(store, inbox) == (sorted(["000000.mp3", "zzz.mp3", "\udcff0.mp3"]), sorted(gone))


def test_a_listing_that_agreed_is_compared_again_after_any_change(store: Store, inbox: Path, tmp_path: Path) -> None:
    fill(inbox, "a.mp3", "sub/b.mp3", "sub/c.mp3")
    agreement = Agreement()
    remember(store, inbox)
    assert differences(store, inbox, agreement) == ([], [])
    assert walk(inbox, agreed=agreement.holds).take() == []
    assert differences(store, inbox, agreement) == ([], [])
    store.forget(str(inbox), ["sub/b.mp3"])
    assert differences(store, inbox, agreement) == (["sub/b.mp3"], [])
    remember(store, inbox)
    assert differences(store, inbox, agreement) == ([], [])
    os.utime(inbox / "a.mp3", ns=(5, 5))
    (inbox / "sub/c.mp3").unlink()
    assert differences(store, inbox, agreement) == (["a.mp3"], ["sub/c.mp3"])
    fill(inbox, "sub/c.mp3")
    remember(store, inbox)
    assert differences(store, inbox, agreement) == ([], [])
    with closing(sqlite3.connect(tmp_path / "state" / "lalald.sqlite3")) as other:
        other.execute("DELETE FROM files WHERE name = 'a.mp3'")
        other.commit()
    assert differences(store, inbox, agreement) == (["a.mp3"], [])


def test_only_regular_files_count_and_symlinks_are_not_followed(inbox: Path, tmp_path: Path) -> None:
    fill(inbox, "a.mp3", "real/b.mp3")
    fill(tmp_path / "elsewhere", "c.mp3")
    (inbox / "link.mp3").symlink_to(tmp_path / "elsewhere/c.mp3")
    (inbox / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(inbox / "pipe.mp3")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(inbox / "s.mp3"))
    listener.close()
    assert listed(walk(inbox)) == ["a.mp3", "real/b.mp3"]


def test_a_known_file_that_became_something_else_is_gone(store: Store, inbox: Path) -> None:
    fill(inbox, "a.mp3", "b.mp3")
    remember(store, inbox)
    (inbox / "a.mp3").unlink()
    (inbox / "a.mp3").mkdir()
    (inbox / "b.mp3").rename(inbox / "c")
    (inbox / "b.mp3").symlink_to("c")
    assert differences(store, inbox) == (["c"], ["a.mp3", "b.mp3"])


def test_skipped_folders_are_not_entered_and_others_are_watched_before_they_are_listed(inbox: Path) -> None:
    fill(inbox, "a.mp3", "done/b.mp3", "sub/done/c.mp3")
    entered = []

    def enter(folder: str) -> None:
        entered.append(folder)
        if folder == "sub":
            fill(inbox, "sub/in_time.mp3")

    assert listed(walk(inbox, skipped=lambda folder: folder == "done", entering=enter)) == [
        "a.mp3", "sub/done/c.mp3", "sub/in_time.mp3",
    ]  # fmt: skip
    assert entered == ["", "sub", "sub/done"]


def test_an_inbox_that_is_not_recursive_has_no_subfolders(inbox: Path) -> None:
    fill(inbox, "a.mp3", "sub/b.mp3")
    assert listed(walk(inbox, recursive=False)) == ["a.mp3"]


def test_a_walk_may_start_anywhere(inbox: Path) -> None:
    fill(inbox, "a.mp3", "sub/b.mp3", "sub/deep/c.mp3")
    assert listed(walk(inbox, start="sub")) == ["sub/b.mp3", "sub/deep/c.mp3"]


def test_a_folder_that_cannot_be_listed_is_reported_and_not_visited(inbox: Path) -> None:
    fill(inbox, "a.mp3")
    walked = walk(inbox, start="not/there")
    assert listed(walked) == []
    assert [folder for folder, _ in walked.unreadable] == ["not/there"]
    assert walked.visited == set()


def test_memory_stays_flat_in_one_large_folder(store: Store, inbox: Path) -> None:
    """A walk keeps only the name of each file: 8,000 names of 40 letters are less than 1 MiB."""
    for number in range(8_000):
        os.close(os.open(inbox / f"a song with a longish name {number:06}.mp3", os.O_CREAT | os.O_WRONLY))
    remember(store, inbox)
    walked = walk(inbox)
    tracemalloc.start()
    try:
        while listings := walked.take():
            assert not compare(store, str(inbox), listings, Agreement()).unknown
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2 * 1024 * 1024


def test_known_folders_are_returned_once_each(store: Store, inbox: Path) -> None:
    fill(inbox, "a.mp3", "b.mp3", "sub/a.mp3", "sub/b.mp3", "sub/deep/a.mp3", "\udcff/a.mp3")
    assert store.known_folders(str(inbox)) == set()
    remember(store, inbox)
    assert store.known_folders(str(inbox)) == {"", "sub", "sub/deep", "\udcff"}
