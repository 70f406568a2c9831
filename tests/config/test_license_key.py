"""Where the license key comes from, and that nobody sees it."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lalald.commands.check_config import check_surroundings
from lalald.config import Config
from lalald.config.key_files import BY_ENVIRONMENT, readable_by_others
from lalald.config.license_key import FoundKey, LicenseKey, find_key
from lalald.config.loading import examine
from lalald.config.model import Web
from lalald.config.secrets.page_secrets import page_password, page_read_token
from lalald.config.secrets.secret_search import Search, found_by
from lalald.errors import ConfigError
from lalald.filesystem.bounded_calls import BoundedCalls

README = Path(__file__).parents[2] / "README.md"
SECRET = "SECRET-0123456789abcdef"


def config(key_file: Path | None = None) -> Config:
    return Config(path=Path("/c.yaml"), state_dir=Path("/state"), inboxes=(), license_key_file=key_file)


def found_key(configured: Config, environ: Mapping[str, str]) -> FoundKey:
    return found_by(find_key(configured.license_key_file, environ), BoundedCalls())


def license_key(configured: Config, environ: Mapping[str, str]) -> LicenseKey | None:
    """Raises the error of a source that cannot be used."""
    found = found_key(configured, environ)
    if found.error is not None:
        raise found.error
    return found.key


def revealed(found: LicenseKey | None) -> str | None:
    return found.reveal() if found else None


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_sources_of_the_key_are_read_in_order(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    written(credentials, "license-key", "from-systemd\n")
    environ = {
        "LALALD_LICENSE_KEY": "from-environment",
        "LALALD_LICENSE_KEY_FILE": str(written(tmp_path, "a", "from-named-file\n")),
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    configured = config(written(tmp_path, "b", "from-config\n"))
    found = []
    for variable in ("LALALD_LICENSE_KEY", "LALALD_LICENSE_KEY_FILE"):
        found.append(revealed(license_key(configured, environ)))
        del environ[variable]
    found += [revealed(license_key(configured, environ)), revealed(license_key(config(), environ))]
    assert found == ["from-environment", "from-named-file", "from-config", "from-systemd"]
    assert license_key(config(), {}) is None


@pytest.mark.parametrize("name", ["none", ""])
def test_a_key_that_systemd_hands_over_makes_up_for_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    written(tmp_path, "license-key", SECRET)
    found = found_key(config(tmp_path / name), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert (revealed(found.key), found.origin) == (SECRET, "the credential license-key")


def test_a_placeholder_that_systemd_hands_over_does_not_hide_that_the_file_cannot_be_read(tmp_path: Path) -> None:
    written(tmp_path, "license-key", "no-key")
    with pytest.raises(ConfigError, match="license_key_file: there is no such file in"):
        license_key(config(tmp_path / "none"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_the_origin_is_reported(tmp_path: Path) -> None:
    found = found_key(config(written(tmp_path, "key", SECRET)), {})
    assert (revealed(found.key), found.origin) == (SECRET, "license_key_file")


@pytest.mark.parametrize("text", [f"{SECRET}\n", f"{SECRET}\r\n", f"  {SECRET}  \n\n", f"\ufeff{SECRET}"])
def test_whitespace_and_marks_of_editors_are_not_part_of_a_key(tmp_path: Path, text: str) -> None:
    assert revealed(license_key(config(written(tmp_path, "key", text)), {})) == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "no-key",
        "placeholder",
        "changeme",
        "CHANGE_ME",
        "your-license-key",
        "<key>",
        "xxxx",
        "paste the key here",
    ],
)
def test_a_placeholder_is_not_a_key(tmp_path: Path, text: str) -> None:
    assert license_key(config(written(tmp_path, "key", text)), {}) is None


def test_the_password_that_the_documentation_shows_is_not_one() -> None:
    """Seen: the page of an unchanged compose.yaml let everyone in who had read the README."""
    shown = re.findall(r"LALALD_WEB_PASSWORD: (\S+)", README.read_text(encoding="utf-8"))
    assert shown
    for text in shown:
        with pytest.raises(ConfigError, match=r"^LALALD_WEB_PASSWORD: what is there is a placeholder"):
            found_by(page_password(Web(), {"LALALD_WEB_PASSWORD": text}), BoundedCalls())


def test_after_a_placeholder_the_next_source_is_read(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    written(credentials, "license-key", "no-key")
    environ = {"LALALD_LICENSE_KEY": "", "CREDENTIALS_DIRECTORY": str(credentials)}
    assert revealed(license_key(config(written(tmp_path, "key", SECRET)), environ)) == SECRET


def test_a_credentials_folder_without_our_credential_is_passed_over(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert revealed(license_key(config(written(tmp_path, "key", SECRET)), environ)) == SECRET


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"license_key_file: there is no such file in {tmp_path}$") as refused:
        license_key(config(tmp_path / "none"), {})
    assert refused.value.hint


def test_a_missing_file_of_the_environment_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LALALD_LICENSE_KEY_FILE: there is no such file in"):
        license_key(config(), {"LALALD_LICENSE_KEY_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="LALALD_LICENSE_KEY_FILE: a variable in it is not set"):
        license_key(config(), {"LALALD_LICENSE_KEY_FILE": "$NOWHERE/key"})


def test_a_folder_in_the_place_of_the_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, not a file"):
        license_key(config(tmp_path), {})
    tmp_path.chmod(0o755)
    assert not readable_by_others(tmp_path), "chmod 600 would not help"


PASSWORD_FILES = ("LALALD_WEB_PASSWORD_FILE", "web.password_file", "web.read_token_file")


def secret_of(origin: str, path: Path) -> str | None:
    """The secret that is read from a file which this setting names."""
    match origin:
        case "license_key_file":
            return revealed(license_key(config(path), {}))
        case "LALALD_LICENSE_KEY_FILE":
            return revealed(license_key(config(), {origin: str(path)}))
        case "LALALD_WEB_PASSWORD_FILE":
            return found_by(page_password(Web(), {origin: str(path)}), BoundedCalls())
        case "web.password_file":
            return found_by(page_password(Web(password_file=path), {}), BoundedCalls())
    return found_by(page_read_token(Web(read_token_file=path)), BoundedCalls())


@pytest.mark.parametrize("origin", ["license_key_file", "LALALD_LICENSE_KEY_FILE", *PASSWORD_FILES])
def test_every_file_of_a_secret_is_refused_with_the_same_words(tmp_path: Path, origin: str) -> None:
    """A pipe kept the daemon waiting before its first line of log; bytes beyond UTF-8 became a password that no person can type."""
    os.mkfifo(tmp_path / "pipe")
    _, terminal = os.openpty()
    (tmp_path / "terminal").symlink_to(os.ttyname(terminal))
    (tmp_path / "dangling").symlink_to("missing")
    written(tmp_path, "large", "x" * 5000)
    written(tmp_path, "utf-16", SECRET.encode("utf-16"))
    written(tmp_path, "latin-1", "schl\u00fcssel-wort".encode("latin-1"))
    for name, words in (
        ("pipe", "is a pipe, not a file"),
        ("terminal", "is a device, not a file"),
        ("large", "is too large to be a"),
        ("utf-16", "is saved as UTF-16"),
        ("latin-1", "is not UTF-8 text"),
        (".", "is a folder, not a file"),
        ("missing", "there is no such file in"),
        ("missing/too", "there is no such file in"),
        ("large/too", "there is no such file in"),
        ("x" * 300, "there is no such file in"),
        ("dangling", "is a link to a file that does not exist"),
    ):
        with pytest.raises(ConfigError, match=f"^{origin}: .*{words}") as refused:
            secret_of(origin, tmp_path / name)
        assert refused.value.hint


@pytest.mark.parametrize("origin", PASSWORD_FILES)
@pytest.mark.parametrize("text", [SECRET, f"{SECRET}\n", f" {SECRET}\r\n\r\n", f"\ufeff{SECRET}\n"])
def test_line_ends_are_no_part_of_a_page_secret(tmp_path: Path, origin: str, text: str) -> None:
    assert secret_of(origin, written(tmp_path, "secret", text)) == SECRET


@pytest.mark.parametrize(
    "text", [f"{SECRET} x", f"{SECRET}\n{SECRET}", f"{SECRET}\x00", f"ключ{SECRET}", f"\xff{SECRET}"]
)
def test_what_cannot_stand_in_a_header_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a license key") as refused:
        license_key(config(written(tmp_path, "key", text)), {})
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"Bearer {SECRET}", 'it begins with "Bearer"'),
        (f"X-License-Key: {SECRET}", 'it begins with "X-License-Key"'),
        (f"LALALD_LICENSE_KEY={SECRET}", 'it begins with "LALALD_LICENSE_KEY"'),
        (f"license key: {SECRET}", 'it begins with "license key"'),
        (f"{SECRET}\n{SECRET}\n{SECRET}", "it has 3 lines"),
        (f"{SECRET} {SECRET}", "it has spaces in it"),
        (f'"{SECRET}', "it has a quote at one end"),
        (f"ключ{SECRET}", "it has characters beyond ASCII"),
        (f"/run/secrets/{SECRET}", "it is a path"),
        (f"~/{SECRET}", "it is a path"),
    ],
)
def test_what_is_wrong_with_a_key_is_reported_without_showing_it(tmp_path: Path, text: str, words: str) -> None:
    for environ, key_file in (({"LALALD_LICENSE_KEY": text}, None), ({}, written(tmp_path, "key", text))):
        found = found_key(config(key_file), environ)
        assert (found.key, words in found.problem) == (None, True), found
        assert SECRET not in found.problem + found.hint


def test_a_path_in_the_variable_of_the_key_names_the_other_variable() -> None:
    found = found_key(config(), {"LALALD_LICENSE_KEY": "/run/secrets/lalal"})
    assert found.hint == "LALALD_LICENSE_KEY_FILE takes the path of a file with the key."


PASTED = [
    "hunter2hunter2", "license-key-9f8e7d", "correct horse battery staple", "pa$$word/with$DOLLARS", "~hunter2/x", "$HUNTER2",
    "9f8e/Abc+dEf012/xyz==", "/9f8e/4AAQSkZJRg==", "/9f8e4AAQSkZJRg==", "ntfy://tk_9f8e@ntfy.example.org/songs", "../9f8e", "./9f8e/",
    "whsec_9f8e7d6c5b4a" * 20, "line-9f8e\nline-2", "${9f8e}", "pässwörd-9f8e", "{9f8e}", "9f8e%s",
]  # fmt: skip
_PARTS = re.compile(r"hunter2|HUNTER2|9f8e|horse|DOLLARS|pa\$", re.IGNORECASE)


@pytest.mark.parametrize("origin", [BY_ENVIRONMENT, "LALALD_WEB_PASSWORD_FILE"])
def test_a_secret_in_the_variable_of_its_file_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    """Seen: `there is no file /etc/lalald/SECRET`, in the log and in `status`."""
    monkeypatch.chdir(tmp_path)
    for text in PASTED:
        search: Search[Any] = (
            find_key(None, {origin: text}) if origin == BY_ENVIRONMENT else page_password(Web(), {origin: text})
        )
        try:
            found = found_by(search, BoundedCalls())
        except ConfigError as error:
            found = FoundKey(None, problem=str(error), hint=error.hint)
        assert found.problem.startswith(f"{origin}: ")
        assert not _PARTS.search(found.problem + found.hint), found


@pytest.mark.parametrize(
    "text", ["*9f8e", "!9f8e x", "!!9f8e", "&9f8e", "@9f8e", "9f8e: x", "'9f8e", '"9f8e\\q"', "[9f8e", "? 9f8e"]
)
def test_a_secret_that_is_not_valid_yaml_is_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"web:\n  password_file: {text}\n")
    examined = examine(path, {})
    assert not _PARTS.search(repr(examined.diagnostics.facts(examined.diagnostics.errors)))


@pytest.mark.parametrize("way", ["plain", "list", "mapping"])
def test_a_secret_in_the_key_of_its_file_is_not_shown(tmp_path: Path, way: str) -> None:
    """By `check-config`, as text and as JSON, of which the errors are the lines."""
    for text in PASTED:
        value: Any = {"plain": text, "list": [text], "mapping": {"key": text}}[way]
        settings = {
            "license_key_file": value,
            "web": {"listen": "127.0.0.1:8910", "password_file": value, "read_token_file": value},
            "notify": [
                {"name": "a", "url_file": value},
                {"name": "b", "webhook": "https://example.org/", "secret_file": value},
            ],
        }
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps(settings))
        examined = examine(path, {})
        check_surroundings(examined, {}, BoundedCalls())
        errors = examined.diagnostics.facts(examined.diagnostics.errors)
        keys = {error["key"] for error in errors}
        assert {"license_key_file", "web.password_file", "notify[0].url_file", "notify[1].secret_file"} <= keys
        assert not _PARTS.search(repr(errors)), errors


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too large"):
        license_key(config(written(tmp_path, "key", "x" * 5000)), {})
    with pytest.raises(ConfigError, match="is a device"):
        license_key(config(Path("/dev/zero")), {})


def test_a_key_shows_itself_nowhere() -> None:
    key = LicenseKey(SECRET)
    for text in (repr(key), str(key), f"{key}", f"{key!r:>60}", f"{[key]}", f"{key:40}"):
        assert SECRET not in text
    for spill in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not written anywhere"):
            spill(key)
    assert key.reveal() == SECRET


def test_equal_keys_are_equal() -> None:
    assert LicenseKey("a") == LicenseKey("a")
    assert LicenseKey("a") != LicenseKey("b")
    assert LicenseKey("a") != "a"
    assert len({LicenseKey("a"), LicenseKey("a")}) == 1


def test_a_key_file_that_others_can_read_is_recognized(tmp_path: Path) -> None:
    path = written(tmp_path, "key", SECRET)
    path.chmod(0o640)
    assert not readable_by_others(path)
    path.chmod(0o644)
    assert readable_by_others(path)
    assert not readable_by_others(tmp_path / "none")


@pytest.mark.parametrize("text", [f'"{SECRET}"\n', f"'{SECRET}'", f'\ufeff"{SECRET}"\r\n'])
def test_quotes_around_a_key_are_no_part_of_it(tmp_path: Path, text: str) -> None:
    assert revealed(license_key(config(written(tmp_path, "key", text)), {})) == SECRET
    assert revealed(license_key(config(), {"LALALD_LICENSE_KEY": text.strip("\ufeff")})) == SECRET


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file {path} (license_key_file) is empty"),
        ('""', "the file {path} (license_key_file) holds a placeholder, not a license key"),
        ("no-key\n", "the file {path} (license_key_file) holds a placeholder, not a license key"),
        (SECRET.encode("utf-16"), "{path} is saved as UTF-16"),
        (f"KEY = {SECRET}", "it has spaces in it"),
    ],
)
def test_what_is_wrong_with_the_key_file_is_reported(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = written(tmp_path, "key", content)
    found = found_key(config(path), {"LALALD_LICENSE_KEY": ""})
    assert found.key is None
    assert words.format(path=path) in found.problem
    assert found.hint
    assert SECRET not in found.problem


def test_a_placeholder_in_the_variable_is_not_a_matter_of_lines() -> None:
    found = found_key(config(), {"LALALD_LICENSE_KEY": "your-license-key"})
    assert (found.key, "LALALD_LICENSE_KEY holds a placeholder" in found.problem) == (None, True)
    assert found.hint == "Set it to your key, and start lalald again."


def test_without_any_source_it_is_reported_where_a_key_may_be_put() -> None:
    found = found_key(config(), {})
    assert (found.key, found.problem) == (None, "there is no license key")
    assert "license_key_file" in found.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_key_file_that_lalald_may_not_read_is_named_with_its_owner_and_mode(open_folder: Path) -> None:
    path = written(open_folder, "key", SECRET)
    path.chmod(0o600)
    script = (
        "import os, sys, pathlib;"
        "from lalald.config.license_key import find_key; from lalald.config.secrets.secret_search import Search, found_by;"
        "from lalald.filesystem.bounded_calls import BoundedCalls;"
        "os.setgid(12345); os.setuid(12345);"
        "found = found_by(find_key(pathlib.Path(sys.argv[1]), {}), BoundedCalls()); print(found.problem, found.hint)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert "cannot be read by user 12345, group 12345" in done.stdout, done.stderr
    assert "it belongs to user 0, group 0, and its mode is 0600" in done.stdout
    assert "chmod 640" in done.stdout
