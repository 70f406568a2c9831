"""Decide which links to tracks are followed, and in which form."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from lalald.api.origin import AddressError, Origin, split_url
from lalald.errors import LinkRefusedError

_LEFT_AS_THEY_ARE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that may be followed. `upgraded`: an http link that is fetched as https from the same host."""

    origin: Origin
    target: str
    upgraded: bool = False


def followed(url: str, *, loopback: bool) -> Link:
    """The link as it may be followed: https anywhere, plain http only on loopback, where the service is there too.

    Raises:
        LinkRefusedError: another scheme, credentials, no host, control characters.
    """
    try:
        origin, parts = split_url(url)
    except AddressError as error:
        raise LinkRefusedError(f"the link to a track was not followed: {error}") from None
    target = quote(parts.path or "/", safe=_LEFT_AS_THEY_ARE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_LEFT_AS_THEY_ARE)
    if origin.scheme == "https" or (loopback and origin.is_loopback):
        return Link(origin, target)
    port = 443 if origin.port == 80 else origin.port
    return Link(Origin("https", origin.host, port), target, upgraded=True)


def redirected(link: Link, location: str, *, loopback: bool) -> Link:
    """Where a redirect leads, by the same rules.

    Raises:
        LinkRefusedError
    """
    try:
        url = urljoin(link.origin.url + link.target, location)
        urlsplit(url)
    except ValueError:
        raise LinkRefusedError("the link to a track is not a URL") from None
    return followed(url, loopback=loopback)
