"""Fixtures: a sandbox, and homes whose daemons do not outlive their test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import settings

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.another_user import AS_NOBODY, Interpreter, give, interpreter_of_unprivileged_user
from tests.support.running import Home

# How long an example takes says nothing on a busy machine. `pytest --hypothesis-profile=thorough` looks further.
settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile("quick")

MakeHome = Callable[..., Home]


def pytest_xdist_auto_num_workers() -> int:
    """Five for two processors: tests wait for timers and other processes for more than half of their time."""
    return (os.cpu_count() or 2) * 5 // 2


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Options()) as started:
        yield started


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that other users can reach. pytest's own are closed to them, and closed again by every pytest that starts beside this one."""
    with TemporaryDirectory(prefix="lalald-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def interpreter() -> Iterator[Interpreter]:
    """A Python that another user than root may run, and that finds the program and what it needs."""
    with TemporaryDirectory(prefix="lalald-test-") as folder:
        Path(folder).chmod(0o755)
        found = interpreter_of_unprivileged_user(Path(folder))
        if found is None:
            pytest.skip("another user may not run this version of Python")
        yield found


@pytest.fixture
def of_unprivileged_user(interpreter: Interpreter) -> Callable[[Home], Home]:
    """The program runs as nobody, to whom all of its folders belong; the test stays root."""

    def change(home: Home) -> Home:
        home.state.mkdir()
        home.root.chmod(0o755)
        give(home.state, home.inbox, home.outbox)
        home.python, home.variables, home.through = interpreter.python, interpreter.environ, AS_NOBODY
        return home

    return change


@pytest.fixture
def target(tmp_path: Path) -> Iterator[BinaryIO]:
    """A new file for a track."""
    with (tmp_path / "part").open("w+b", buffering=0) as file:
        yield cast("BinaryIO", file)


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[MakeHome]:
    """Homes for the test; `make_home(sandbox.url, rules=…, inbox={…}, **settings)`."""
    homes: list[Home] = []

    def make(api_url: str, rules: list[dict[str, Any]] | None = None, **settings: Any) -> Home:
        homes.append(Home(tmp_path / f"home{len(homes) or ''}", api_url, rules, **settings))
        return homes[-1]

    yield make
    for home in homes:
        if home.process is not None and home.process.poll() is None:
            home.kill()
