"""Who asks, and under which name: addresses behind proxies, host names that are answered, requests of other sites.

Forwarded headers decide only where they come from a trusted proxy, or by the unix socket, which only programs with the right to its
file can open. They never identify a user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from lalald.web.responses import PlainTextError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

HEADER = "x-lalald"
SAFE_METHODS = frozenset({"GET", "HEAD"})
LOCAL_ENDINGS = (".local", ".lan", ".home", ".home.arpa", ".internal", ".localhost")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class Place:
    """A host with its port, None where that is the default of the scheme."""

    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from. `address` is None where it is not known, as on a unix socket without a proxy."""

    address: Address | None
    scheme: str
    place: Place

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def port(self) -> int:
        return self.place.port or _DEFAULT_PORTS[self.scheme]

    @property
    def group(self) -> str:
        """What wrong passwords are counted by: an IPv4 address, or the /64 of an IPv6 address."""
        if self.address is None:
            return "unix"
        if isinstance(self.address, IPv6Address):
            return str(ip_network((self.address, 64), strict=False))
        return str(self.address)


class Origins:
    """The rules of one page."""

    def __init__(self, trusted_proxies: Iterable[str], hosts: Iterable[str]) -> None:
        self._trusted: Sequence[Network] = [ip_network(text) for text in trusted_proxies]
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)

    def visitor(self, scope: Scope) -> Visitor:
        """Raises PlainTextError where the request names no host, or one that is not answered."""
        headers = Headers(scope=scope)
        peer = _address(scope["client"][0]) if scope.get("client") else None
        forwarded = peer is None or self._is_trusted(peer)
        address, scheme, host = peer, str(scope["scheme"]), headers.get("host", "")
        if forwarded:
            address = self._client(headers.getlist("x-forwarded-for"), peer)
            scheme = _last(headers.get("x-forwarded-proto", "")).lower() or scheme
            host = _last(headers.get("x-forwarded-host", "")) or host
        scheme = scheme if scheme in _DEFAULT_PORTS else "http"
        place = _place(host)
        if place is None:
            raise PlainTextError(400, "The request names no host, or something that is not one.")
        if not self._is_answered(place.host):
            raise PlainTextError(
                421,
                f"This page is not called {place.host}.",
                hint=f"If it should be, add this to the configuration of lalald and reload it:\n\n"
                f"web:\n  hosts: [{place.host}]",
            )
        return Visitor(address, scheme, place)

    def check_unsafe(self, scope: Scope, visitor: Visitor, *, has_cookie: bool) -> None:
        """What every request but GET and HEAD must bring: a header that no other site can send, and its own origin.

        Raises PlainTextError, which names both values.
        """
        headers = Headers(scope=scope)
        if headers.get(HEADER) != "1":
            raise PlainTextError(403, "This request needs the header X-Lalald: 1.", hint="Other sites cannot send it.")
        origin = headers.get("origin")
        if origin is None:
            if has_cookie:
                raise PlainTextError(403, "This request came with a cookie and without an Origin.")
            return
        if not _is_same(origin, visitor.place):
            raise PlainTextError(
                403,
                f"The request came from {_printable(origin)}, and this page is {visitor.place}.",
                hint="Behind a proxy: name it in web.trusted_proxies, and let it pass Host or X-Forwarded-Host on.",
            )

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted if network.version == address.version)

    def _client(self, forwarded: Sequence[str], peer: Address | None) -> Address | None:
        """The last address that no trusted proxy has: what stands before it, its sender may have made up."""
        found = peer
        for text in reversed([part.strip() for line in forwarded for part in line.split(",")]):
            address = _address(text)
            if address is None:
                return found
            found = address
            if not self._is_trusted(address):
                return found
        return found

    def _is_answered(self, host: str) -> bool:
        """A name of the public DNS could be pointed at this machine by anybody; these cannot."""
        if _address(host) is not None or host == "localhost" or host in self._hosts:
            return True
        return _NAME.fullmatch(host) is not None and ("." not in host or host.endswith(LOCAL_ENDINGS))


def _address(text: str) -> Address | None:
    """An address, without its zone or port; IPv4 where it is one in IPv6's clothes."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _last(header: str) -> str:
    """What the nearest proxy said."""
    return header.rpartition(",")[2].strip()


def _place(text: str) -> Place | None:
    """A Host header. None where it is not one."""
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    odd = parts.path or parts.query or parts.fragment or parts.username is not None or parts.password is not None
    if not host or odd or not host.isascii() or not host.isprintable():
        return None
    return Place(host.rstrip("."), port)


def _is_same(origin: str, place: Place) -> bool:
    """Whether an Origin header names this host and port. Its scheme only gives the port that it leaves out."""
    scheme, separator, rest = origin.partition("://")
    there = _place(rest) if separator else None
    if there is None or there.host != place.host:
        return False
    default = _DEFAULT_PORTS.get(scheme.lower())
    return (there.port or default) == (place.port or default)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
