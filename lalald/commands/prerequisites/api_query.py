"""Send one request to LALAL.AI, with the configuration's key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lalald.api import Client
from lalald.config import Config
from lalald.config.license_key import find_key
from lalald.config.secrets.secret_search import found_by
from lalald.errors import TransientError
from lalald.filesystem.bounded_calls import BoundedCalls

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 30.0
_LATER = "Nothing was charged. Check the network and `api_url`, or try again later: LALAL.AI may be down."


def ask(config: Config, request: Callable[[Client], Awaitable[Answer]]) -> Answer:
    """The service's answer. Raises ServiceError, and ConfigError where the key cannot be read."""
    return asyncio.run(_query(config, request))


async def _query(config: Config, request: Callable[[Client], Awaitable[Answer]]) -> Answer:
    found = found_by(find_key(config.license_key_file, os.environ), BoundedCalls())
    if found.error is not None:
        raise found.error
    client = Client(config.api_url, found.key, upload_rate=None, download_rate=None)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await request(client)
    except TransientError as error:
        error.hint = error.hint or _LATER
        raise
    except TimeoutError:
        late = TransientError(f"{config.api_url} did not answer within {TIMEOUT_SECONDS:g} s")
        late.hint = _LATER
        raise late from None
    finally:
        await client.aclose()
