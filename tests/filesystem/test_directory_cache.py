"""A large folder is listed once for many files, and our own new names are never missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.filesystem.directory_cache import DirectoryCache
from tests.support.delivery_process import delivered, job_at, visible


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def large(tmp_path: Path) -> str:
    for number in range(300):
        (tmp_path / f"Straße {number}").touch()
    return str(tmp_path)


def test_existing_names_are_found_in_any_case(large: str) -> None:
    listings = DirectoryCache()
    for _ in range(2):
        assert listings.equivalent_names(large, "STRASSE 7") == ["Straße 7"]
        assert listings.equivalent_names(large, "strasse 300") == []
        assert listings.equivalent_names(large, "strasse") == []


def test_a_new_file_of_another_program_is_found_at_once_or_in_another_case_a_second_later(large: str) -> None:
    clock = Clock()
    listings = DirectoryCache(clock)
    assert listings.equivalent_names(large, "ep1") == []
    (Path(large) / "ep1").touch()
    assert listings.equivalent_names(large, "ep1") == ["ep1"]
    assert listings.equivalent_names(large, "EP1") == []
    clock.now += 1.0
    assert listings.equivalent_names(large, "EP1") == ["ep1"]


def test_our_own_new_names_are_found_at_once_in_any_case(large: str) -> None:
    clock = Clock()
    listings = DirectoryCache(clock)
    assert listings.equivalent_names(large, "EP1") == []
    listings.add(large, "ep1/voice.mp3")
    (Path(large) / "ep1").mkdir()
    assert listings.equivalent_names(large, "EP1") == ["ep1"]


def test_removed_names_are_free_again(large: str) -> None:
    listings = DirectoryCache(Clock())
    assert listings.equivalent_names(large, "straße 7") == ["Straße 7"]
    (Path(large) / "Straße 7").unlink()
    assert listings.equivalent_names(large, "straße 7") == []


def test_in_a_large_outbox_files_that_differ_in_case_alone_still_get_numbers(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    for number in range(300):
        (tmp_path / f"outbox/{number}").mkdir()
    for job_id, name in enumerate(("ep1.mp3", "EP1.mp3", "Ep1.mp3")):
        delivered(job_at(tmp_path, name, ["voice"], job_id=job_id), str.encode)
    assert sorted(visible(tmp_path / "outbox")) == ["EP1 (2)/voice.mp3", "Ep1 (3)/voice.mp3", "ep1/voice.mp3"]
