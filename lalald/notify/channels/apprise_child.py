"""Send one message by Apprise, in a short-lived child process, so that Apprise never takes up the daemon's memory.

Reads `{"url", "title", "body"}` as JSON; without a body the address is only examined. Answers with one line of JSON:
`{"ok": true}`, or the kind of failure and, where the receiver answered, its status. Nothing else is said: it might hold secrets.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

_STATUS = re.compile(r"\berror=(\d{3})\b")  # how Apprise's plugins log the status of an answer


class _Statuses(logging.Handler):
    """Keeps the status of the last answer that was no success, and nothing else."""

    status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if found := _STATUS.search(record.getMessage()):
            self.status = int(found[1])


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        import apprise
    except ImportError:
        return {"failure": "not_installed"}
    statuses = _Statuses()
    logger = logging.getLogger("apprise")
    logger.addHandler(statuses)
    logger.propagate = False
    asset = apprise.AppriseAsset(app_id="lalald", app_desc="lalald", app_url="", secure_logging=True)
    receivers = apprise.Apprise(asset=asset)
    if not receivers.add(request["url"]) or not len(receivers):
        return {"failure": "bad_url"}
    if "body" not in request:
        return {"ok": True}
    ok = receivers.notify(title=request["title"], body=request["body"], body_format=apprise.NotifyFormat.TEXT)
    return {"ok": True} if ok else {"failure": "not_sent", "status": statuses.status}


def main() -> None:
    said = os.dup(1)
    os.dup2(2, 1)  # a plugin that prints says nothing in our name
    try:
        found = answer(json.load(sys.stdin))
    except Exception:  # noqa: BLE001 - its words may hold the address
        found = {"failure": "crashed"}
    os.write(said, json.dumps(found).encode() + b"\n")
    os._exit(0)
