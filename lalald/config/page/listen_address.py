"""Where the page listens: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

DEFAULT_PORT = 8910
_HOST_AND_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>\d{1,5})")
_MOST_PATH_BYTES = 107  # sun_path holds 108 with its closing zero


class ListenAddress(NamedTuple):
    """A host with its port, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""

    @property
    def is_unix(self) -> bool:
        return bool(self.path)

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens at every address of the machine."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Raises ValueError with a sentence for the person who wrote it."""
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    found = _HOST_AND_PORT.fullmatch(text.strip())
    if found is None:
        example = f"127.0.0.1:{DEFAULT_PORT}, [::]:{DEFAULT_PORT} or unix:/run/lalald/web.sock"
        raise ValueError(f'expected an address such as {example}, got "{text}"')
    port = int(found["port"])
    if not 0 < port < 65536:
        raise ValueError(f"expected a port from 1 to 65535, got {port}")
    if found["ipv6"]:
        return ListenAddress(_ipv6(found["ipv6"]), port)
    return ListenAddress("127.0.0.1" if found["host"] == "localhost" else _ipv4(found["host"]), port)


def _unix(path: str) -> ListenAddress:
    if not path.startswith("/"):
        raise ValueError(f'expected the full path of a socket after unix:, got "{path}"')
    if len(path.encode("utf-8", "surrogateescape")) > _MOST_PATH_BYTES:
        raise ValueError(f"the path of a socket has at most {_MOST_PATH_BYTES} bytes")
    return ListenAddress("", 0, path)


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError(f'"{text}" is not an IPv6 address') from None


def _ipv4(text: str) -> str:
    """Names are not resolved: the daemon would wait for it."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(
            f'"{text}" is not an address of this machine; write one such as 127.0.0.1 or 0.0.0.0'
        ) from None
