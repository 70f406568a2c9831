"""The `web` block: addresses, networks and names that can be what they are meant to be. Whether the page can run is found out later."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from lalald.config import model
from lalald.config.diagnostics import Diagnostics, Where
from lalald.config.page.listen_address import parse_listen
from lalald.config.schema import file_schema

PathAt = Callable[[Where, str | None], Path | None]

_WHERE: Where = ("web",)
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?", re.IGNORECASE)


def web(section: file_schema.Web, diagnostics: Diagnostics, path_at: PathAt) -> model.Web:
    """The block with its defaults; invalid values are reported."""
    listen = _listen(section.listen, diagnostics)
    for place, text in enumerate(section.trusted_proxies):
        _check_network(text, (*_WHERE, "trusted_proxies", place), diagnostics)
    for place, text in enumerate(section.hosts):
        _check_host(text, (*_WHERE, "hosts", place), diagnostics)
    if section.auth == "none" and listen is not None and _is_open(listen):
        diagnostics.add_warning(
            (*_WHERE, "auth"),
            "anyone who can reach this address can spend minutes: `none` is for a proxy that asks for a password,"
            " on a unix socket or a separate network",
        )
    return model.Web(
        listen=listen,
        auth=section.auth,
        password_file=path_at((*_WHERE, "password_file"), section.password_file),
        read_token_file=path_at((*_WHERE, "read_token_file"), section.read_token_file),
        trusted_proxies=tuple(section.trusted_proxies),
        hosts=tuple(section.hosts),
        uploads=section.uploads,
    )


def _listen(text: str | None, diagnostics: Diagnostics) -> str | None:
    if text is None:
        return None
    try:
        return str(parse_listen(text))
    except ValueError as error:
        diagnostics.add_error((*_WHERE, "listen"), str(error))
        return None


def _is_open(listen: str) -> bool:
    address = parse_listen(listen)
    return not address.is_unix


def _check_network(text: str, where: Where, diagnostics: Diagnostics) -> None:
    try:
        ip_network(text)
    except ValueError:
        diagnostics.add_error(where, f'expected an address or a network such as 172.16.0.0/12, got "{text}"')


def _check_host(text: str, where: Where, diagnostics: Diagnostics) -> None:
    if "://" in text or "/" in text or ":" in text:
        diagnostics.add_error(where, f'expected a name alone, without scheme, port or path, got "{text}"')
    elif not _NAME.fullmatch(text):
        diagnostics.add_error(where, f'expected a name such as music.example.org, got "{text}"')
