"""Clients that do not outlive their test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from lalald.api import Client, Deadlines
from lalald.config.license_key import LicenseKey

KEY = "5e1f-a-license-key-77"
_opened: list[Client] = []


def client(
    url: str, deadlines: Deadlines | None = None, *, upload_rate: int | None = None, download_rate: int | None = None
) -> Client:
    api = Client(
        url,
        LicenseKey(KEY),
        upload_rate=upload_rate,
        download_rate=download_rate,
        deadlines=deadlines or Deadlines(),
    )
    _opened.append(api)
    return api


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    yield
    while _opened:
        asyncio.run(_opened.pop().aclose())


def written(target: BinaryIO) -> bytes:
    """What is in the file of a track."""
    target.flush()
    return os.pread(target.fileno(), 1 << 30, 0)
