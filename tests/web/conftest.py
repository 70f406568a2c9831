"""Pages that do not outlive their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.page_client import PageClient, logged_in, page_alone, with_page
from tests.support.running import Home, write_wav


@pytest.fixture
def home(make_home: MakeHome, sandbox: Sandbox) -> Home:
    """With a page, and one job that is done."""
    home = with_page(make_home(sandbox.url))
    write_wav(home.inbox / "song.wav")
    assert home.command("run", "--once").returncode == 0
    return home


@pytest.fixture
def client(home: Home) -> Iterator[PageClient]:
    """Logged in to the page, which runs alone."""
    with page_alone(home), logged_in(home) as client:
        yield client
