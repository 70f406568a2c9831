"""The LALAL.AI API v1: the only part of lalald that speaks HTTP to the service."""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # httpx's own program: rich, click, pygments; 6 MiB

from lalald.api.answers import AnsweredTrack, Started, StartRefused, TaskAnswer, Uploaded, VoicePack  # noqa: E402
from lalald.api.client import BATCH_LIMIT, CHECK_LIMIT, Client, SplitItem  # noqa: E402
from lalald.api.download import Fetched  # noqa: E402
from lalald.api.transfer import Transfer, TransferStopped  # noqa: E402
from lalald.api.wire import Deadlines  # noqa: E402

__all__ = [
    "BATCH_LIMIT",
    "CHECK_LIMIT",
    "AnsweredTrack",
    "Client",
    "Deadlines",
    "Fetched",
    "SplitItem",
    "StartRefused",
    "Started",
    "TaskAnswer",
    "Transfer",
    "TransferStopped",
    "Uploaded",
    "VoicePack",
]
