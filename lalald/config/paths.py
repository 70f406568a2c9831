"""Where things are: `~` and `$VAR` in paths, the configuration file, the state folder. Loads nothing heavy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lalald.errors import ConfigError
from lalald.filesystem.bounded_calls import WAKING_SECONDS, BoundedCalls

_VARIABLE = re.compile(r"\$(?:\$|(\w+)|\{([^{}]*)\})", re.ASCII)
SYSTEM_CONFIG = "/etc/lalald/config.yaml"


class PathError(ValueError):
    """A text cannot be a path. `unshown`: the message without anything of the text, which may be a secret by mistake."""

    def __init__(self, message: str, unshown: str | None = None) -> None:
        super().__init__(message)
        self.unshown = unshown or message


def expanded(text: str, environ: Mapping[str, str], base: Path | None) -> Path:
    """The absolute path of a text. A relative one starts at `base`, or at the working folder if that is None.

    Raises:
        PathError: see `filled`; or the working folder is needed and was deleted.
    """
    return Path(os.path.normpath(_from(base, filled(text, environ))))


def _from(base: Path | None, path: str) -> Path:
    """A path, relative to `base`. The working folder is read only if it is needed: it may have been deleted."""
    if base is not None or os.path.isabs(path):
        return Path(base or "/", path)
    try:
        return Path.cwd() / path
    except OSError:
        words = "is a relative path, and the working folder was deleted; write it in full"
        raise PathError(f"{path} {words}", f"it {words}") from None


def absolute(path: Path) -> Path:
    """The absolute path. Raises ConfigError if it is relative and the working folder was deleted."""
    try:
        return _from(None, os.fspath(path))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def filled(text: str, environ: Mapping[str, str]) -> str:
    """A path as written, with `~`, `~user` and `$VAR` or `${VAR}` filled in; `$$` is a dollar sign.

    Raises:
        PathError: a variable that is not set, a home that does not exist, or a text that cannot be a path.
    """
    if not text.strip():
        raise PathError("expected a path, got nothing")
    if "\0" in text:
        raise PathError("expected a path, got one with a NUL character in it")
    path = _VARIABLE.sub(lambda found: _variable(found, environ), text)
    return _with_home(path, environ) if text.startswith("~") else path


def _variable(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    name = found[1] or found[2] or ""
    value = environ.get(name)
    if not value:
        words = "is not set in the environment of lalald"
        raise PathError(f"the variable ${name} {words}", f"a variable in it {words}")
    return value


def _with_home(text: str, environ: Mapping[str, str]) -> str:
    user, slash, rest = text[1:].partition("/")
    return f"{_home(user, environ)}{slash}{rest}"


def _home(user: str, environ: Mapping[str, str]) -> str:
    """A home folder. In a service or container the user may have no entry: then only $HOME is used."""
    import pwd

    if not user and environ.get("HOME"):
        return environ["HOME"]
    try:
        return pwd.getpwnam(user).pw_dir if user else pwd.getpwuid(os.getuid()).pw_dir
    except (KeyError, ValueError):
        words = "has no home folder here; write the path in full"
        raise PathError(f"~{user} {words}", f"the user that it begins with {words}") from None


def find(explicit: str | None, environ: Mapping[str, str], answer_seconds: float = WAKING_SECONDS) -> Path:
    """The configuration file: `explicit` (--config), else $LALALD_CONFIG, else the first that exists of
    $XDG_CONFIG_HOME/lalald/config.yaml (~/.config where it is not set) and /etc/lalald/config.yaml.

    Raises:
        ConfigError: the named file does not exist, or there is none; the message lists the places searched.
        FolderUnavailableError: its disk or server does not answer.
    """
    if explicit is not None:
        return _named(explicit, "--config", environ, answer_seconds)
    if environ.get("LALALD_CONFIG"):
        return _named(environ["LALALD_CONFIG"], "LALALD_CONFIG", environ, answer_seconds)
    folders = [folder for folder in (home_config_folder(environ), Path(SYSTEM_CONFIG).parent) if folder]
    for folder in folders:
        if _exists(folder / "config.yaml", answer_seconds):
            return folder / "config.yaml"
    searched = ", ".join(str(folder / "config.yaml") for folder in folders)
    raise ConfigError(
        f"no configuration found; looked for --config, $LALALD_CONFIG, {searched}", hint=_not_found_hint(folders)
    )


def home_config_folder(environ: Mapping[str, str]) -> Path | None:
    """$XDG_CONFIG_HOME/lalald, or None for a user without a home folder."""
    folder = _in_home("XDG_CONFIG_HOME", ".config", environ)
    return folder / "lalald" if folder else None


def _not_found_hint(folders: Iterable[Path]) -> str:
    """The hint if there is no configuration: one in the working folder, or one with nearly the right name."""
    from lalald.config.checks.misnamed import files_like_a_configuration

    if os.path.isfile("config.yaml"):
        return 'This folder has one: "lalald --config ./config.yaml …" uses it.'
    near = next(iter(files_like_a_configuration(folders)), None)
    if near:
        return f"{near} is not read: the name must be config.yaml, in a folder lalald."
    return "lalald init writes one to start from"


def _named(named: str, origin: str, environ: Mapping[str, str], answer_seconds: float) -> Path:
    """The named file: as written, since a shell has expanded it; else expanded as in the configuration."""
    try:
        path = _from(None, named)
        if not named or not _exists(path, answer_seconds):
            path = expanded(named, environ, None)
    except ValueError as error:
        raise ConfigError(f"{origin}: {error}", hint="lalald init writes a configuration to start from") from None
    if not _exists(path, answer_seconds):
        from lalald.config.checks.misnamed import similar_file

        near = similar_file(path)
        hint = f'Did you mean "{near}"?' if near else "lalald init writes one to start from"
        raise ConfigError(f"{origin}: there is no file {path}", hint=hint)
    return path


def _exists(path: Path, answer_seconds: float) -> bool:
    """Whether a file exists. True if that cannot be determined: reading it then gives the error."""
    try:
        BoundedCalls(answer_seconds).run(path, os.stat, path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _in_home(variable: str, default: str, environ: Mapping[str, str]) -> Path | None:
    """An XDG base folder, or None without a home folder. The XDG specification says to ignore relative ones."""
    value = environ.get(variable, "")
    if value.startswith("/"):
        return Path(value)
    try:
        return Path(_home("", environ)) / default
    except ValueError:
        return None


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """The default state folder: systemd's $STATE_DIRECTORY, else the XDG state folder.

    Raises:
        ValueError: there is neither that nor a home folder.
    """
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = _in_home("XDG_STATE_HOME", ".local/state", environ)
    if home is None:
        raise ValueError("missing, and there is no home folder to put it in: name a folder on a local disk")
    return home / "lalald"
