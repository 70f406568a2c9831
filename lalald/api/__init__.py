"""The LALAL.AI API v1 over httpx; no other package sends HTTP requests to the service.

client                           every operation, one method each
post, answers, json_fields       JSON requests and their parsed answers
error_mapping                    foreign errors become lalald's own
origin, track_links              which hosts, proxies and links are used
transfers/                       uploads and downloads
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

# httpx would load these if they are installed, and lalald does not use them: httpx's own program (rich, click, pygments: 6 MiB),
# trio, HTTP/2. A missing sniffio, which earlier versions of anyio need, is searched on disk four times per request: that takes a third
# of the request's time.
for _unwanted in ("httpx._main", "h2", "trio", *(() if find_spec("sniffio") else ("sniffio",))):
    sys.modules.setdefault(_unwanted, None)  # type: ignore[arg-type] # None: importing it fails

# Below the loop (hence E402): these load httpx.
from lalald.api.answers import AnsweredTrack, Started, StartRefused, TaskAnswer, Uploaded, VoicePack  # noqa: E402
from lalald.api.client import BATCH_LIMIT, CHECK_LIMIT, Client, SplitItem  # noqa: E402
from lalald.api.transfers.downloads import Fetched  # noqa: E402
from lalald.api.transfers.transfer import Deadlines, Transfer, TransferStopped  # noqa: E402

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
