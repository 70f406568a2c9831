"""Send one message by Apprise, in a short-lived child process, so that Apprise never takes up the daemon's memory.

Reads `{"url", "title", "body"}` as JSON; without a body the address is only examined. Answers with one line of JSON:
`{"ok": true}`, or the kind of failure, and either the status that the receiver answered or what kept the message from arriving, in
words of our own. Nothing else is said: it might hold secrets.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import re
import resource
import ssl
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from lalald.notify.channels.sending_errors import answer_problem, sending_problem

_MOST_MEMORY_BYTES = 256 << 20  # Apprise reads an answer as a whole, however long it is
_THREAD_BYTES = 1 << 20
_PR_SET_DUMPABLE = 4  # linux/prctl.h
_STATUS = re.compile(r"\berror=(\d{3})\b")  # how Apprise's plugins log the status of an answer


class _Reasons(logging.Handler):
    """Keeps the status of the last answer that was no success, or the exception that a plugin handles while it logs.

    Its words are not kept.
    """

    status: int | None = None
    problem: str | None = None
    of_proxy: str | None = None  # what a proxy answered in the receiver's place

    def last(self) -> dict[str, Any]:
        if self.of_proxy:
            return {"problem": self.of_proxy}
        return {"status": self.status, "problem": self.problem}

    def emit(self, record: logging.LogRecord) -> None:
        if found := _STATUS.search(record.getMessage()):
            self.status = int(found[1])
        if (error := sys.exception()) is not None:
            self.problem = sending_problem(error)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        import apprise
    except ImportError:
        return {"failure": "not_installed"}
    reasons = _Reasons()
    _examine_answers(reasons)
    _trust_what_the_system_trusts()
    logger = logging.getLogger("apprise")
    logger.addHandler(reasons)
    logger.propagate = False
    asset = apprise.AppriseAsset(app_id="lalald", app_desc="lalald", app_url="", secure_logging=True)
    receivers = apprise.Apprise(asset=asset)
    if not receivers.add(request["url"]) or not len(receivers):
        return {"failure": "bad_url"}
    if "body" not in request:
        return {"ok": True}
    ok = receivers.notify(title=request["title"], body=request["body"], body_format=apprise.NotifyFormat.TEXT)
    return {"ok": True} if ok else {"failure": "not_sent", **reasons.last()}


def _examine_answers(reasons: _Reasons) -> None:
    """Note what a proxy answered instead of the receiver, and follow no redirects.

    Another host would get the token, and where a POST becomes a GET the message is lost, with an answer of 200.
    """
    with suppress(ImportError):
        import requests

        def no_target(_session: requests.Session, answer: requests.Response) -> None:
            reasons.of_proxy = answer_problem(answer)

        # Apprise makes its own sessions and has no setting for redirects.
        requests.Session.get_redirect_target = no_target  # type: ignore[method-assign, assignment] # in this process alone


def _trust_what_the_system_trusts() -> None:
    """The authorities that webhooks trust; `requests` has its own, which know nothing of those that were added to the system."""
    paths = ssl.get_default_verify_paths()  # SSL_CERT_FILE and SSL_CERT_DIR, where they are set
    with suppress(OSError):
        if paths.cafile or (paths.capath and os.listdir(paths.capath)):
            os.environ.setdefault("REQUESTS_CA_BUNDLE", paths.cafile or paths.capath)


def _confine() -> None:
    """Nothing that a receiver answers takes much memory, and what is in it, such as the address, is in no core dump."""
    threading.stack_size(_THREAD_BYTES)
    for limit, most in ((resource.RLIMIT_DATA, _MOST_MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    said = os.dup(1)
    os.dup2(2, 1)  # a plugin that prints says nothing in our name
    _confine()
    try:
        found = answer(json.load(sys.stdin))
    except Exception:  # noqa: BLE001 - its words may hold the address
        found = {"failure": "crashed"}
    os.write(said, json.dumps(found).encode() + b"\n")
    os._exit(0)
