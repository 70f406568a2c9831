"""Going on with a download where it stopped: RFC 9110's Range, If-Range and Content-Range."""

from __future__ import annotations

import http.client
import re

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)


def proof(response: http.client.HTTPResponse) -> str | None:
    """What the rest can be asked for by later: a strong ETag, else the date of the last change, else nothing."""
    etag = response.getheader("etag")
    return etag if etag and proves(etag) else response.getheader("last-modified")


def proves(etag: str | None) -> bool:
    """Whether it can stand in `If-Range`: a weak ETag says "much the same", which is not enough to join two parts."""
    return bool(etag) and etag is not None and not etag.startswith("W/") and etag.isprintable() and etag.isascii()


def headers(start: int, etag: str | None) -> list[str]:
    """The lines that ask for the bytes from `start` on, if they are still of that version."""
    return [f"Range: bytes={start}-", f"If-Range: {etag}"] if start else []


def total(response: http.client.HTTPResponse) -> int | None:
    """How long the whole is, as Content-Range says."""
    match = _range_of(response)
    return int(match[3]) if match else None


def _range_of(response: http.client.HTTPResponse) -> re.Match[str] | None:
    return _CONTENT_RANGE.fullmatch((response.getheader("content-range") or "").strip())


def goes_on(response: http.client.HTTPResponse, start: int, etag: str | None, expected_size: int | None) -> bool:
    """Whether an answer is the rest of what is there: of the same version, from the right byte, to the right end."""
    match = _range_of(response)
    if response.status != 206 or match is None:
        return False
    first, last, total = map(int, match.groups())
    versions = [version for version in (response.getheader("etag"), response.getheader("last-modified")) if version]
    is_rest = first == start and last + 1 == total and response.length in (None, total - start)
    return is_rest and (not versions or etag in versions) and expected_size in (None, total)
