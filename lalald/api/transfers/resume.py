"""Resume an interrupted download: RFC 9110's Range, If-Range and Content-Range."""

from __future__ import annotations

import re

import httpx

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)


def proof(response: httpx.Response) -> str | None:
    """What the rest can be requested with later: a strong ETag, else the date of the last change, else nothing."""
    etag: str | None = response.headers.get("etag")
    date: str | None = response.headers.get("last-modified")
    return etag if proves(etag) else date


def proves(etag: str | None) -> bool:
    """Whether it can stand in `If-Range`: a weak ETag says "much the same", which is not enough to join two parts."""
    return bool(etag) and etag is not None and not etag.startswith("W/") and etag.isprintable() and etag.isascii()


def headers(start: int, etag: str | None) -> dict[str, str]:
    """The headers that request the bytes from `start` on, if they are still of that version."""
    return {"Range": f"bytes={start}-", "If-Range": etag or ""} if start else {}


def is_chunked(response: httpx.Response) -> bool:
    """httpcore accepts no other transfer encoding than chunks."""
    return "transfer-encoding" in response.headers


def length(response: httpx.Response) -> int | None:
    """The stated size of the answer's body; None if it is chunked or ends with its connection."""
    said = None if is_chunked(response) else response.headers.get("content-length")
    return None if said is None else int(said)


def total(response: httpx.Response) -> int | None:
    """The size of the whole file by Content-Range."""
    match = _range_of(response)
    return int(match[3]) if match else None


def _range_of(response: httpx.Response) -> re.Match[str] | None:
    return _CONTENT_RANGE.fullmatch((response.headers.get("content-range") or "").strip())


def goes_on(response: httpx.Response, start: int, etag: str | None, expected_size: int | None) -> bool:
    """Whether an answer is the missing rest: of the same version, from the right byte, to the right end."""
    match = _range_of(response)
    if response.status_code != 206 or match is None:
        return False
    first, last, total = map(int, match.groups())
    versions = [version for version in (response.headers.get("etag"), response.headers.get("last-modified")) if version]
    is_rest = first == start and last + 1 == total and length(response) in (None, total - start)
    return is_rest and (not versions or etag in versions) and expected_size in (None, total)
