"""Which hosts the environment's proxies are for: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, and `NO_PROXY` with its networks."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined] # not in the library's stubs


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by name or by number, without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def needs_no_proxy(host: str, port: int) -> bool:
    """Whether the host is this machine, or one that `NO_PROXY` names."""
    return is_loopback(host) or bool(proxy_bypass_environment(f"{host}:{port}")) or _is_in_no_proxy(host, port)


def has_proxy(scheme: str, host: str, port: int) -> bool:
    """Whether requests to the host go through a proxy."""
    return bool(_proxy(scheme)) and not needs_no_proxy(host, port)


def proxy_may_answer(scheme: str, host: str, port: int) -> bool:
    """Whether a proxy reads requests to the host: it only passes on what is encrypted, and a SOCKS proxy anything."""
    return scheme == "http" and has_proxy(scheme, host, port) and not _proxy(scheme).lower().startswith("socks")


def _proxy(scheme: str) -> str:
    named = getproxies_environment()
    return named.get(scheme) or named.get("all") or ""


def _is_in_no_proxy(host: str, port: int) -> bool:
    """Whether `NO_PROXY` lists a numeric host as a network (`10.0.0.0/8`) or in brackets, which the standard library does not read."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in getproxies_environment().get("no", "").split(","):
        name, _, named_port = entry.strip().removeprefix("[").partition("]")
        with suppress(ValueError):
            if address in ipaddress.ip_network(name, strict=False) and named_port in ("", f":{port}"):
                return True
    return False
