"""Send messages to phones, mailboxes and chats by Apprise, in a child process that reads the address from standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from lalald.notify.channels import processes
from lalald.notify.channels.results import Refused, Result, Sent, TryLater, redirected

TIMEOUT_SECONDS = 60.0
INSTALL = "pip install 'lalald[notify]'"
# The modules of the child are found in this process's own places, and in no folder that it happens to stand in.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from lalald.notify.channels.apprise_child import main; main()"
_VARIABLES = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
_PASSING = frozenset({408, 425, 429})


def is_installed() -> bool:
    """Whether Apprise is there. It is not loaded."""
    try:
        return find_spec("apprise") is not None
    except ImportError:
        return False


async def send(
    url: str, title: str, body: str, environ: Mapping[str, str], timeout_seconds: float = TIMEOUT_SECONDS
) -> Result:
    return _result(await _asked({"url": url, "title": title, "body": body}, environ, timeout_seconds))


async def understands(url: str, environ: Mapping[str, str]) -> bool:
    """Whether Apprise knows what to do with an address; nothing is sent."""
    return bool((await _asked({"url": url}, environ, TIMEOUT_SECONDS)).get("ok"))


async def _asked(request: Mapping[str, Any], environ: Mapping[str, str], timeout_seconds: float) -> dict[str, Any]:
    words = [sys.executable, "-P", "-c", _PROGRAM, *sys.path]
    variables = processes.allowed_environment(environ, *_VARIABLES)
    given = json.dumps(request).encode()
    try:
        ended = await processes.run(
            words, given=given, environ=variables, timeout_seconds=timeout_seconds, with_errors=False
        )
    except OSError:
        return {"failure": "not_started"}
    if ended.code is None:
        return {"failure": "timeout"}
    try:
        said = json.loads(ended.output)
    except ValueError:
        return {"failure": "crashed"}
    return said if isinstance(said, dict) else {"failure": "crashed"}


def _result(said: Mapping[str, Any]) -> Result:
    if said.get("ok"):
        return Sent()
    status, problem = said.get("status"), said.get("problem")
    match said.get("failure"):
        case "not_sent" if isinstance(status, int) and 300 <= status < 400:
            return TryLater(redirected(status))
        case "not_sent" if isinstance(status, int):
            passes = not 400 <= status < 500 or status in _PASSING
            return TryLater(f"it answered {status}") if passes else Refused(f"it answered {status}")
        case "not_sent" if isinstance(problem, str):
            return TryLater(problem)
        case "not_sent":
            return TryLater("it could not be reached, or refused the message")
        case "not_installed":
            return TryLater(f"Apprise is not installed: {INSTALL}")
        case "bad_url":
            return TryLater("Apprise does not understand its address")
        case "timeout":
            return TryLater("Apprise did not end in time")
        case _:
            return TryLater("Apprise ended without an answer")
