"""A real Chromium that shows the page, and what it complained about."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pytest

from tests.support.page_client import PASSWORD
from tests.support.running import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

Result = TypeVar("Result")

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome")
MOST_MILLISECONDS = 15_000


class BrowserThread:
    """Playwright's objects belong to one thread, and its event loop would be in the way of asyncio in that of the tests."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="browser")
        self._playwright: Any = None
        self._browser: Browser | None = None

    def call(self, function: Callable[[], Result]) -> Result:
        """Runs `function` in the browser's thread."""
        return self._thread.submit(function).result()

    def start(self) -> None:
        """Skips the test where there is no browser or nothing that drives it."""
        api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            pytest.skip("Chromium is not installed")

        def launch() -> None:
            self._playwright = api.sync_playwright().start()
            self._browser = self._playwright.chromium.launch(executable_path=program, args=[*FLAGS])

        self.call(launch)

    def stop(self) -> None:
        def close() -> None:
            if self._browser is not None:
                self._browser.close()
            if self._playwright is not None:
                self._playwright.stop()

        self.call(close)
        self._thread.shutdown()

    @contextmanager
    def visit(self, address: str, **options: Any) -> Iterator[Visit]:
        """A browser window of its own, without cookies of others. Only to be used in the browser's thread."""
        assert self._browser is not None
        context = self._browser.new_context(**options)
        context.set_default_timeout(MOST_MILLISECONDS)
        visit = Visit(address, context, context.new_page())
        visit.listen()
        try:
            yield visit
        finally:
            context.close()


@dataclass
class Visit:
    """One person at the page. `complaints`: errors of scripts and the console, and requests to elsewhere."""

    address: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", self._on_console)
        self.page.on("request", self._on_request)
        self.page.on("dialog", self._on_dialog)

    def log_in(self) -> None:
        headers = {"X-Lalald": "1", "Origin": self.address}
        answer = self.context.request.post(f"{self.address}/api/login", data={"password": PASSWORD}, headers=headers)
        assert answer.ok, answer.text()

    def open(self, view: str = "now") -> Page:
        """Shows a view as a link from elsewhere would, and waits until it has its heading."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/#/{view}")
        self.page.locator("main h1").wait_for()
        return self.page

    def until(self, expression: str, what: str) -> None:
        """Until a JavaScript expression is true. Playwright's own waiting evaluates text, which the page's policy refuses."""
        until(lambda: self.page.evaluate(expression), what, MOST_MILLISECONDS / 1000)

    def _on_console(self, message: Any) -> None:
        # a lost connection and a session that is over are part of some tests; Chromium logs both
        expected = "Failed to load resource" in message.text
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(f"console: {message.text}")

    def _on_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws") and f"{parts.scheme}://{parts.netloc}" != self.address:
            self.complaints.append(f"request to elsewhere: {request.url}")

    def _on_dialog(self, dialog: Any) -> None:
        if dialog.type != "beforeunload":
            self.complaints.append(f"dialog: {dialog.message}")
        dialog.accept()
