"""Determine the service's origin, the loopback exception, and the environment's proxies."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment

from lalald.config.proxies import is_loopback, needs_no_proxy
from lalald.errors import ConfigError

_PORTS = {"https": 443, "http": 80}
_PROXY_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}
_PROXY_HINT = "Use http://host:port, or socks5://host:port with the package socksio installed."
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?")
_LONGEST_LABEL = 63
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class AddressError(ValueError):
    """A URL to which no request can be sent; the message says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a connection is made to, and what a key belongs to."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as in the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A tunneling proxy, which learns the host but not the content. `auth` is user name and password."""

    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)


def split_url(url: str) -> tuple[Origin, SplitResult]:
    """The origin of an http or https URL, and its parts.

    Raises:
        AddressError: another scheme, no or a wrong host, credentials, a control character.
    """
    if _CONTROL.search(url):
        raise AddressError("it holds control characters")
    try:
        parts = urlsplit(url.strip(" "))
        port = parts.port
    except ValueError as error:
        raise AddressError(f"it is not a URL ({error})") from None
    if parts.scheme not in _PORTS:
        raise AddressError(f"its scheme is {parts.scheme!r}" if parts.scheme else "it names no scheme")
    if "@" in parts.netloc:
        raise AddressError("it holds a user name or password")
    return Origin(parts.scheme, _host(parts.hostname), _PORTS[parts.scheme] if port is None else port), parts


def _host(name: str | None) -> str:
    if not name:
        raise AddressError("it names no host")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        host = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        raise AddressError(f"{name!r} is not a host name") from None
    labels = host.removesuffix(".").split(".")
    if not _HOST_NAME.fullmatch(host) or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise AddressError(f"{host!r} is not a host name")
    return host


def api_origin(api_url: str) -> tuple[Origin, str]:
    """The origin of the service and the path before `/api/v1/`: https, or http on loopback.

    Raises:
        ConfigError: anything else, since the key would travel in the open.
    """
    hint = "Use https://www.lalal.ai, or http on loopback for a sandbox."
    try:
        origin, parts = split_url(api_url)
    except AddressError as error:
        raise ConfigError(f"`api_url` cannot be used: {error}.", hint=hint) from None
    if origin.scheme == "http" and not origin.is_loopback:
        raise ConfigError(f"`api_url` {origin.url} is not https: the license key would travel in the open.", hint=hint)
    if parts.query or parts.fragment or not parts.path.isascii() or " " in parts.path:
        raise ConfigError("`api_url` is an origin and perhaps a path, no more.", hint=hint)
    return origin, parts.path.rstrip("/")


def proxy_for(scheme: str, host: str, port: int | None = None) -> Proxy | None:
    """The proxy that `HTTPS_PROXY` or `ALL_PROXY` name for an https origin, unless `NO_PROXY` or loopback exempt it.

    Raises:
        ConfigError: a proxy that lalald cannot use.
    """
    if scheme != "https" or needs_no_proxy(host, port or _PORTS[scheme]):
        return None
    return environments_proxy()


def environments_proxy() -> Proxy | None:
    """The proxy for https that the environment names.

    Raises:
        ConfigError: one that lalald cannot use.
    """
    proxies = getproxies_environment()
    url = proxies.get("https") or proxies.get("all")
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usual_port = _PROXY_PORTS[parts.scheme]
        port = usual_port if parts.port is None else parts.port
    except ValueError:
        raise ConfigError("HTTPS_PROXY is not a URL.", hint="Write it as http://host:port.") from None
    except KeyError:
        raise ConfigError(f"HTTPS_PROXY names a proxy of the kind {parts.scheme!r}.", hint=_PROXY_HINT) from None
    if not parts.hostname:
        raise ConfigError("HTTPS_PROXY names no host.", hint="Write it as http://host:port.")
    if parts.scheme != "http" and find_spec("socksio") is None:
        hint = "Install it: pip install 'httpx[socks]'."
        raise ConfigError("HTTPS_PROXY names a SOCKS proxy, which needs the package socksio.", hint=hint)
    try:
        name = _host(parts.hostname)
    except AddressError as error:
        raise ConfigError(f"HTTPS_PROXY cannot be used: {error}.", hint="Write it as http://host:port.") from None
    host = f"[{name}]" if ":" in name else name
    auth = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(f"{parts.scheme}://{host}:{port}", auth)
