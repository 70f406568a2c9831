"""The page's password, and the token that can only read: where they come from, and what is not accepted as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lalald.config.license_key import is_placeholder
from lalald.config.model import Web
from lalald.config.paths import PathError, expanded
from lalald.config.secrets.secret_search import Search, SecretFile, text_of
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


def page_password(web: Web, environ: Mapping[str, str]) -> Search[str | None]:
    """The password; None with `auth: none`. Raises SettingError, which never shows it."""
    if web.auth == "none":
        return None
    placeholders = []
    for origin, path in _password_places(web, environ):
        if path is None:
            text = environ.get(PASSWORD_VARIABLE, "").strip()
        else:
            text = yield from text_of(SecretFile(path, origin, "password"))
        if text and not is_placeholder(text):
            return _checked(origin, text)
        if text:
            placeholders.append(origin)
    if placeholders:
        raise SettingError(placeholders[0], "what is there is a placeholder, not a password", hint=_HOW)
    raise SettingError(_FILE_KEY, "the page has no password", hint=_HOW)


def page_read_token(web: Web) -> Search[str | None]:
    """The token that can only read. Raises SettingError."""
    if web.read_token_file is None:
        return None
    origin = "web.read_token_file"
    text = yield from text_of(SecretFile(web.read_token_file, origin, "token"))
    if not text or is_placeholder(text):
        raise SettingError(origin, f"{web.read_token_file} holds no token", hint="Put it alone on one line there.")
    return _checked(origin, text)


def check_secrets(web: Web, environ: Mapping[str, str]) -> Search[None]:
    """Raises SettingError where a page is configured that has no secret."""
    if web.listen is not None:
        yield from page_password(web, environ)
        yield from page_read_token(web)


def _password_places(web: Web, environ: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    """Where a password may be: the setting, and its file; the variable has none. The first that is one counts."""
    yield PASSWORD_VARIABLE, None
    if named := environ.get(PASSWORD_FILE_VARIABLE):
        try:
            yield PASSWORD_FILE_VARIABLE, expanded(named, environ, None)
        except PathError as error:
            raise SettingError(PASSWORD_FILE_VARIABLE, error.unshown, hint="Name the file in full.") from None
    if web.password_file is not None:
        yield _FILE_KEY, web.password_file


def _checked(origin: str, text: str) -> str:
    if len(text) < SHORTEST:
        raise SettingError(origin, f"it has fewer than {SHORTEST} characters", hint=_HOW)
    if len(text.splitlines()) > 1:
        raise SettingError(origin, "it has more than one line", hint="Put it alone on one line.")
    return text
