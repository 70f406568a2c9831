"""The page as a program of its own, and a client that behaves as the page's own script does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from tests.support.ports import free_port
from tests.support.running import Home, until

PASSWORD = "a-password-for-tests"


def with_page(home: Home, **settings: Any) -> Home:
    """The home's configuration with a page on a port of its own, and its password."""
    web = {"listen": f"127.0.0.1:{free_port()}", **home.settings.get("web", {}), **settings}
    home.settings["web"] = web
    if web.get("auth") != "none":
        home.variables["LALALD_WEB_PASSWORD"] = PASSWORD
    home.write_config()
    return home


def address_of(home: Home) -> str:
    return f"http://{home.settings['web']['listen']}"


class PageClient(httpx.Client):
    """Sends what every request of the page needs."""

    def __init__(self, address: str, **more: Any) -> None:
        headers = {"X-Lalald": "1", "Origin": address, **more.pop("headers", {})}
        super().__init__(base_url=address, headers=headers, timeout=30.0, **more)

    def log_in(self, password: str = PASSWORD) -> httpx.Response:
        return self.post("/api/login", json={"password": password})

    def log_in_wrongly(self, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to a wrong password; waits while all logins together have used up their ten tries a second."""
        while True:
            answer = self.post("/api/login", json={"password": "not the password"}, headers=headers)
            if answer.status_code != 429 or int(answer.headers["retry-after"]) > 1:
                return answer

    def facts(self, path: str, **parameters: Any) -> Any:
        answer = self.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def done(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a POST."""
        answer = self.post(path, json=dict(body))
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def logged_in(home: Home) -> Iterator[PageClient]:
    with PageClient(address_of(home)) as client:
        # All logins together have ten tries a second.
        answer = until(lambda: (tried := client.log_in()).status_code != 429 and tried, "the login is counted")
        assert answer.status_code == 200
        yield client


@contextmanager
def page_alone(home: Home) -> Iterator[subprocess.Popen[str]]:
    """`lalald web`, once it answers; ended with the test."""
    words = [*home.through, home.python, "-m", "lalald", "web"]
    page = subprocess.Popen(words, env=home.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def answers() -> bool:
        assert page.poll() is None, page.stdout.read() if page.stdout else ""
        with suppress(httpx.TransportError):
            return httpx.get(f"{address_of(home)}/healthz").text == "ok\n"
        return False

    try:
        until(answers, "the page answers")
        yield page
    finally:
        page.terminate()
        try:
            page.wait(10)
        finally:
            page.kill()
            if page.stdout is not None:
                sys.stdout.write(page.stdout.read())
                page.stdout.close()


class Frames:
    """The frames of a stream, as they come; comments are skipped."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> tuple[str, Any]:
        name = ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))
        raise EOFError

    def until(self, name: str) -> Any:
        """The facts of the next frame of that name."""
        while True:
            found, facts = self.next()
            if found == name:
                return facts
