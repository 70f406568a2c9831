"""Pages that do not outlive their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.browser import BrowserThread, Visit
from tests.support.page_client import PageClient, address_of, logged_in, page_alone, with_page
from tests.support.running import Home, write_wav

HOSTILE_TEXT = "<img src=x onerror=window.pwned=1>"
HOSTILE_NAME = f"{HOSTILE_TEXT}\u202efdp.wav"


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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that has a browser runs in the browser's thread."""
    if "browsing" not in pyfuncitem.fixturenames:
        return None
    browsing: BrowserThread = pyfuncitem.funcargs["browsing"]
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    browsing.call(lambda: pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def browsing() -> Iterator[BrowserThread]:
    """One browser for all tests; each has windows and cookies of its own."""
    thread = BrowserThread()
    try:
        thread.start()
        yield thread
    finally:
        thread.stop()


@pytest.fixture(scope="session")
def done_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One job that is done, and a page that runs alone. Shared: for tests that change nothing in it."""
    with Sandbox(Options()) as sandbox:
        home = with_page(Home(tmp_path_factory.mktemp("done"), sandbox.url))
        write_wav(home.inbox / "song.wav")
        assert home.command("run", "--once").returncode == 0
        with page_alone(home):
            yield home


@pytest.fixture
def reader(done_home: Home) -> Iterator[PageClient]:
    """Logged in to the page of `done_home`."""
    with logged_in(done_home) as client:
        yield client


@pytest.fixture
def done_visit(browsing: BrowserThread, done_home: Home) -> Iterator[Visit]:
    """Logged in to the page of `done_home`."""
    yield from _visit(browsing, done_home)


@pytest.fixture(scope="module")
def varied_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Jobs that are done, failed and held; names and the service's messages are hostile. The page runs alone."""
    with Sandbox(Options(minutes=0.4)) as sandbox:
        home = with_page(Home(tmp_path_factory.mktemp("varied"), sandbox.url))
        write_wav(home.inbox / "song.wav")
        assert home.command("run", "--once").returncode == 0
        refusal = {
            "operation": "upload",
            "kind": "status",
            "status": 400,
            "detail": f"{HOSTILE_TEXT} is no sound",
            "count": 1,
        }
        sandbox.faults(refusal)
        write_wav(home.inbox / "refused.wav", pitch=300)
        assert home.command("run", "--once").returncode == 1
        sandbox.faults({"operation": "check", "kind": "label", "track": {"label": HOSTILE_TEXT}, "only": "vocals"})
        write_wav(home.inbox / HOSTILE_NAME, pitch=400)
        write_wav(home.inbox / "too long.wav", seconds=30, pitch=500)
        assert home.command("run", "--once").returncode == 1
        with page_alone(home):
            yield home


@pytest.fixture
def varied_visit(browsing: BrowserThread, varied_home: Home) -> Iterator[Visit]:
    """Logged in to the page of `varied_home`."""
    yield from _visit(browsing, varied_home)


@pytest.fixture
def failed_home(make_home: MakeHome, sandbox: Sandbox) -> Iterator[Home]:
    """One job that failed before it was paid, and a page that runs alone."""
    home = with_page(make_home(sandbox.url))
    sandbox.faults("upload:400*1")
    write_wav(home.inbox / "song.wav", seconds=6)
    assert home.command("run", "--once").returncode == 1
    with page_alone(home):
        yield home


@pytest.fixture
def plain_home(make_home: MakeHome, sandbox: Sandbox) -> Iterator[Home]:
    """Without jobs and without a daemon; the page runs alone, so what is uploaded stays where it was put."""
    home = with_page(make_home(sandbox.url))
    assert home.command("run", "--once").returncode == 0
    with page_alone(home):
        yield home


@pytest.fixture
def plain_visit(browsing: BrowserThread, plain_home: Home) -> Iterator[Visit]:
    """Logged in to the page of `plain_home`."""
    yield from _visit(browsing, plain_home)


def _visit(browsing: BrowserThread, home: Home) -> Iterator[Visit]:
    window = browsing.visit(address_of(home))
    visit = browsing.call(window.__enter__)
    try:
        browsing.call(visit.log_in)
        yield visit
    finally:
        browsing.call(lambda: window.__exit__(None, None, None))
