"""Files and variables without effect because of their names: each is warned of, with the name that was probably meant."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lalald
from lalald.config import find, load
from lalald.config.checks.misnamed import VARIABLES, unknown_variables, unread_files
from lalald.config.loading import examine
from lalald.container import start
from lalald.errors import ConfigError
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.config_files import ONE_RULE, loaded, warnings

PACKAGE = Path(lalald.__file__).parent


def own_variables() -> Iterator[str]:
    for path in (*PACKAGE.rglob("*.py"), PACKAGE.parent / "Dockerfile", *(PACKAGE.parent / "systemd").rglob("*.*")):
        yield from re.findall(r"\bLALALD_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8"))


def test_every_variable_that_the_program_names_is_known() -> None:
    assert set(own_variables()) == set(VARIABLES)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LALALD_LICENCE_KEY", "LALALD_LICENSE_KEY"), ("LALALD_LICENCE_KEY_FILE", "LALALD_LICENSE_KEY_FILE"),
        ("LALALD_STATEDIR", "LALALD_STATE_DIR"), ("LALALD_STATE_DIRECTORY", "LALALD_STATE_DIR"), ("LALALD_URL", "LALALD_API_URL"),
        ("lalald_mode", "LALALD_MODE"), ("LALALD_VOICES", "LALALD_VOICE"), ("LALALD_LOGLEVEL", "LALALD_LOG_LEVEL"),
    ],
)  # fmt: skip
def test_an_unknown_variable_gets_a_warning_without_its_value(name: str, meant: str, tmp_path: Path) -> None:
    (reported,) = warnings(tmp_path, ONE_RULE, {name: "SECRET-0123456789"})
    assert reported == f'{name}: is not a variable of lalald and has no effect. Did you mean "{meant}"?'


def test_a_variable_like_none_lists_those_that_are_known() -> None:
    ((name, words),) = unknown_variables({"LALALD_QQQQ": "x", "PATH": "/bin", "HOME": "/"})
    assert name == "LALALD_QQQQ"
    assert "(known: LALALD_CONFIG, " in words


def test_variables_that_orchestrators_set_for_a_service_called_lalald_are_no_typing_errors() -> None:
    names = (
        "LALALD_SERVICE_HOST",
        "LALALD_SERVICE_PORT_WEB",
        "LALALD_PORT",
        "LALALD_PORT_8080_TCP_ADDR",
        "LALALD_NAME",
        "LALALD_ENV_PATH",
    )
    assert list(unknown_variables(names)) == []


def test_warnings_are_shown_beside_errors_too(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"{ONE_RULE}histroy: 3d\n")
    done = subprocess.run(
        [sys.executable, "-m", "lalald", "--config", str(tmp_path / "config.yaml"), "check-config"],
        env={"HOME": str(tmp_path), "LALALD_LICENCE_KEY": "SECRET"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        'LALALD_LICENCE_KEY: is not a variable of lalald and has no effect. Did you mean "LALALD_LICENSE_KEY"?'
        in done.stderr
    )
    assert "SECRET" not in done.stderr


def test_the_daemon_logs_them(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url)
    (home.root / "config.yml").write_text("inboxes: []\n")
    home.start(environ={"LALALD_STATEDIR": "/x"})
    reported = [entry["reason"] for entry in home.logged("config.warning")]
    assert any("LALALD_STATEDIR" in line for line in reported), reported
    assert any(f"{home.root}/config.yml: is not read, {home.root}/config.yaml is" in line for line in reported), (
        reported
    )


# files


@pytest.mark.parametrize("name", ["config.yml", "config.yaml.txt", "lalald.yaml", "lalald.yml", "Config.yaml"])
def test_a_file_of_nearly_the_right_name_is_pointed_at_where_none_is_found(name: str, tmp_path: Path) -> None:
    folder = tmp_path / ".config/lalald"
    folder.mkdir(parents=True)
    (folder / name).write_text(ONE_RULE)
    with pytest.raises(ConfigError, match="no configuration found") as refused:
        find(None, {"HOME": str(tmp_path)})
    assert refused.value.hint == f"{folder / name} is not read: the name must be config.yaml, in a folder lalald."


def test_a_file_beside_the_folder_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "lalald.yaml").write_text(ONE_RULE)
    with pytest.raises(ConfigError) as refused:
        find(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert f"{tmp_path}/lalald.yaml is not read" in refused.value.hint


@pytest.mark.parametrize("origin", ["--config", "LALALD_CONFIG"])
def test_a_named_file_that_is_not_there_says_which_one_is(origin: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(ONE_RULE)
    named = str(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=f"{origin}: there is no file") as refused:
        find(named if origin == "--config" else None, {"HOME": "/h", "LALALD_CONFIG": named})
    assert refused.value.hint == f'Did you mean "{tmp_path}/config.yml"?'


def test_another_ending_beside_the_configuration_gets_a_warning(tmp_path: Path) -> None:
    assert loaded(tmp_path, ONE_RULE).warnings == ()
    (tmp_path / "config.yml").touch()
    (tmp_path / "lalald.yml").touch()  # may be a file of Docker Compose
    (reported,) = loaded(tmp_path, ONE_RULE).warnings
    assert (
        reported
        == f"{tmp_path}/config.yml: is not read, {tmp_path}/config.yaml is; the name of a configuration is config.yaml"
    )


def test_one_of_the_user_that_is_passed_over_for_that_of_the_system_gets_a_warning(tmp_path: Path) -> None:
    system, home = tmp_path / "etc/lalald/config.yaml", tmp_path / "home/lalald"
    home.mkdir(parents=True)
    (home / "config.yml").touch()
    assert list(unread_files(system, system, home)) == [home / "config.yml"]
    assert list(unread_files(tmp_path / "my.yaml", system, home)) == []


@pytest.mark.parametrize("name", ["config.yml", "lalald.yaml", "config.yaml.txt"])
def test_a_container_with_the_default_configuration_says_which_file_it_does_not_read(name: str, tmp_path: Path) -> None:
    """Seen: files were split by the default rule while the owner's rules lay in /config/config.yml."""
    (tmp_path / name).write_text(ONE_RULE)
    environ = {"HOME": str(tmp_path)}
    start.choose_config(tmp_path, environ)
    assert start.write_default_if_used(None, tmp_path, environ)
    reported = [examine(Path(environ["LALALD_CONFIG"]), environ).diagnostics.formatted_warnings()]
    assert any(f"{tmp_path / name}: is not read" in line for lines in reported for line in lines), reported


def test_a_text_of_windows_says_nothing_of_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + f"{ONE_RULE}histroy: 3d\n".replace("\n", "\r\n").encode())
    with pytest.raises(ConfigError, match=r'line 7  histroy: unknown key\. Did you mean "history"\?'):
        load(path, {})
