"""Uploads that meet a lost connection, a pause or a reload arrive whole, and no byte is sent twice."""

from __future__ import annotations

import os
import wave
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.browser import Visit
from tests.support.running import Home, files_below, until, write_wav

BYTES = 18_000_000  # three pieces
BYTES_A_SECOND = 6_000_000


@pytest.fixture
def song(tmp_path: Path) -> Path:
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(os.urandom(BYTES))
    return tmp_path / "long.wav"


class Line:
    """The way from the browser to the page, as fast as a home's uplink, so that there is a middle of an upload."""

    def __init__(self, visit: Visit) -> None:
        self._wire = visit.context.new_cdp_session(visit.page)
        self.join()

    def cut(self) -> None:
        self._become(offline=True)

    def join(self) -> None:
        self._become(offline=False)

    def _become(self, *, offline: bool) -> None:
        limits = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": BYTES_A_SECOND}
        self._wire.send("Network.emulateNetworkConditions", limits)


def begin(visit: Visit, song: Path) -> None:
    page = visit.open("add")
    page.set_input_files("input[type=file]", [song])
    page.get_by_role("button", name="Send 1 file").click()


def test_a_lost_connection_in_the_middle(plain_visit: Visit, plain_home: Home, song: Path) -> None:
    offsets: list[int] = []
    plain_visit.page.on(
        "request", lambda one: one.method == "PATCH" and offsets.append(int(one.headers["upload-offset"]))
    )
    line = Line(plain_visit)
    begin(plain_visit, song)
    plain_visit.until("document.querySelector('.row.upload progress')?.value > 0", "some of it has left")
    line.cut()
    plain_visit.page.get_by_text("Connection lost; resumes automatically").wait_for()
    line.join()
    plain_visit.page.get_by_text("In the inbox").wait_for()
    assert arrived(plain_home) == song.read_bytes()
    assert offsets == sorted(offsets)


def test_a_reload_resumes_when_the_same_file_is_chosen_again(plain_visit: Visit, plain_home: Home, song: Path) -> None:
    Line(plain_visit)
    begin(plain_visit, song)
    plain_visit.until("document.querySelector('.row.upload progress')?.value > 9e6", "a piece has left")
    plain_visit.page.get_by_role("button", name="Pause").click()
    plain_visit.page.get_by_text("Paused").wait_for()
    assert not (plain_home.inbox / "long.wav").exists()

    offsets: list[int] = []
    plain_visit.page.on(
        "request", lambda one: one.method == "PATCH" and offsets.append(int(one.headers["upload-offset"]))
    )
    page = plain_visit.open("add")
    page.get_by_role("heading", name="Interrupted").wait_for()
    page.set_input_files("input[type=file]", [song])
    page.get_by_role("button", name="Send 1 file").click()
    page.get_by_text("In the inbox").wait_for()
    assert arrived(plain_home) == song.read_bytes()
    assert offsets[0] >= 8_000_000  # the first piece is not sent again


def test_a_name_in_use_is_reported_before_anything_is_sent(
    plain_visit: Visit, plain_home: Home, tmp_path: Path
) -> None:
    write_wav(plain_home.inbox / "drafts" / "song.wav")
    write_wav(tmp_path / "song.wav")
    page = plain_visit.open("add")
    page.get_by_label("Folder in it").fill("drafts")
    page.set_input_files("input[type=file]", [tmp_path / "song.wav"])
    page.locator(".candidate .bad").wait_for()
    assert page.get_by_role("button", name="Send 0 files").is_disabled()
    write_wav(tmp_path / "new.wav")
    page.set_input_files("input[type=file]", [tmp_path / "new.wav"])
    page.get_by_role("button", name="Send 1 file").wait_for()
    total = page.locator(".bar.send p")
    assert total.inner_text().startswith("1 file: 0."), "it is no copy of anything that was paid"


def arrived(home: Home) -> bytes:
    """The file, which the daemon may have moved to its done folder."""

    def content() -> bytes | None:
        for path in files_below(home.inbox):
            with suppress(FileNotFoundError):
                if path.name == "long.wav":
                    return path.read_bytes()
        return None

    found: bytes = until(content, "the file is there")
    return found
