"""The LALAL.AI API v1: the only part of lalald that speaks HTTP to the service."""

from __future__ import annotations

from lalald.api.answers import AnsweredTrack, Started, StartRefused, TaskAnswer, Uploaded, VoicePack
from lalald.api.client import BATCH_LIMIT, CHECK_LIMIT, Client, SplitItem
from lalald.api.download import Fetched
from lalald.api.transfer import Transfer, TransferStopped
from lalald.api.wire import Deadlines

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
