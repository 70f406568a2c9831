"""The page's password, and the token that can only read: where they come from, and what is not accepted as one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lalald.config.license_key import LARGEST_FILE_BYTES, is_placeholder
from lalald.config.model import Web
from lalald.config.paths import expanded
from lalald.errors import SettingError

PASSWORD_VARIABLE = "LALALD_WEB_PASSWORD"  # noqa: S105 - its name
PASSWORD_FILE_VARIABLE = "LALALD_WEB_PASSWORD_FILE"  # noqa: S105 - likewise
SECRET_VARIABLES = (PASSWORD_VARIABLE, PASSWORD_FILE_VARIABLE)
SHORTEST = 10
_FILE_KEY = "web.password_file"
_HOW = (
    "Put one of 10 characters or more into a file and name it at web.password_file, or set"
    f" {PASSWORD_VARIABLE} or {PASSWORD_FILE_VARIABLE}. `auth: none` is for a proxy that asks for one."
)


def page_password(web: Web, environ: Mapping[str, str]) -> str | None:
    """The password; None with `auth: none`. Reads files. Raises SettingError, which never shows it."""
    if web.auth == "none":
        return None
    for origin, text in _passwords(web, environ):
        if text and not is_placeholder(text):
            return _checked(origin, text)
    raise SettingError(_FILE_KEY, "the page has no password", hint=_HOW)


def page_read_token(web: Web) -> str | None:
    """The token that can only read. Raises SettingError."""
    if web.read_token_file is None:
        return None
    origin = "web.read_token_file"
    text = _content(web.read_token_file, origin)
    if not text or is_placeholder(text):
        raise SettingError(origin, f"{web.read_token_file} holds no token", hint="Put it alone on one line there.")
    return _checked(origin, text)


def secret_files(web: Web, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The files that may hold secrets of a page, each with the setting that names it."""
    if web.listen is None:
        return
    if named := environ.get(PASSWORD_FILE_VARIABLE):
        with suppress(ValueError):  # `page_password` reports it
            yield PASSWORD_FILE_VARIABLE, expanded(named, environ, None)
    for origin, path in ((_FILE_KEY, web.password_file), ("web.read_token_file", web.read_token_file)):
        if path is not None:
            yield origin, path


def check_secrets(web: Web, environ: Mapping[str, str]) -> None:
    """Raises SettingError where a page is configured that has no secret. Reads files."""
    if web.listen is not None:
        page_password(web, environ)
        page_read_token(web)


def _passwords(web: Web, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where a password may be, and what is there; the first that is one counts."""
    yield PASSWORD_VARIABLE, environ.get(PASSWORD_VARIABLE, "").strip()
    if named := environ.get(PASSWORD_FILE_VARIABLE):
        try:
            path = expanded(named, environ, None)
        except ValueError as error:
            raise SettingError(PASSWORD_FILE_VARIABLE, str(error), hint="Name the file in full.") from None
        yield PASSWORD_FILE_VARIABLE, _content(path, PASSWORD_FILE_VARIABLE)
    if web.password_file is not None:
        yield _FILE_KEY, _content(web.password_file, _FILE_KEY)


def _content(path: Path, origin: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        hint = f"Let user {os.geteuid()} read it." if isinstance(error, PermissionError) else "Check the path."
        raise SettingError(origin, f"{path} cannot be read: {error.strerror}", hint=hint) from None
    if len(content) > LARGEST_FILE_BYTES:
        raise SettingError(origin, f"{path} is too large", hint="Put the secret alone on one line there.")
    return content.decode("utf-8-sig", errors="replace").strip()


def _checked(origin: str, text: str) -> str:
    if len(text) < SHORTEST:
        raise SettingError(origin, f"it has fewer than {SHORTEST} characters", hint=_HOW)
    if len(text.splitlines()) > 1:
        raise SettingError(origin, "it has more than one line", hint="Put it alone on one line.")
    return text
