"""The page's password, and the token that can only read: where they come from, and what is not accepted as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lalald.config.license_key import is_placeholder
from lalald.config.model import Web
from lalald.config.paths import expanded
from lalald.config.secret_text import secret_text
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
    placeholders = []
    for origin, text in _passwords(web, environ):
        if text and not is_placeholder(text):
            return _checked(origin, text)
        if text:
            placeholders.append(origin)
    if placeholders:
        raise SettingError(placeholders[0], "what is there is a placeholder, not a password", hint=_HOW)
    raise SettingError(_FILE_KEY, "the page has no password", hint=_HOW)


def page_read_token(web: Web) -> str | None:
    """The token that can only read. Raises SettingError."""
    if web.read_token_file is None:
        return None
    origin = "web.read_token_file"
    text = secret_text(web.read_token_file, origin, "token").strip()
    if not text or is_placeholder(text):
        raise SettingError(origin, f"{web.read_token_file} holds no token", hint="Put it alone on one line there.")
    return _checked(origin, text)


def secret_files(web: Web, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The files of a page's secrets that are read, each with the setting that names it."""
    if web.listen is None:
        return
    text = environ.get(PASSWORD_VARIABLE, "").strip()
    if web.auth != "none" and (not text or is_placeholder(text)):
        yield from _password_files(web, environ)
    if web.read_token_file is not None:
        yield "web.read_token_file", web.read_token_file


def _password_files(web: Web, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    if named := environ.get(PASSWORD_FILE_VARIABLE):
        with suppress(ValueError):  # `page_password` reports it
            yield PASSWORD_FILE_VARIABLE, expanded(named, environ, None)
    if web.password_file is not None:
        yield _FILE_KEY, web.password_file


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
        yield PASSWORD_FILE_VARIABLE, secret_text(path, PASSWORD_FILE_VARIABLE, "password").strip()
    if web.password_file is not None:
        yield _FILE_KEY, secret_text(web.password_file, _FILE_KEY, "password").strip()


def _checked(origin: str, text: str) -> str:
    if len(text) < SHORTEST:
        raise SettingError(origin, f"it has fewer than {SHORTEST} characters", hint=_HOW)
    if len(text.splitlines()) > 1:
        raise SettingError(origin, "it has more than one line", hint="Put it alone on one line.")
    return text
