"""Commands in a working folder that was deleted, without a home, and with configurations that are no plain files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lalald.commands.command_list import VERBS
from lalald.config.yaml.source_text import read_text
from lalald.errors import ConfigError
from tests.support.config_files import ONE_RULE

PROGRAM = Path(sys.executable).with_name("lalald")
WORDS: Mapping[str, tuple[str, ...]] = {
    "init": (".",), "show": ("1",), "notify": ("--test",), "explain": ("song.mp3",), "backup": ("copy",), "relocate": ("a", "b"),
    "retry": ("1",), "redo": ("song.mp3",), "cancel": ("1",),
    "release": ("inbox",), "rescan": ("inbox",), "run": ("--once",), "demo": ("--keep", "demo"), "sandbox": ("--help",),
}  # fmt: skip


def in_a_deleted_folder(tmp_path: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    folder = tmp_path / "gone"
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LALALD_", "XDG_"))}
    return subprocess.run(
        ["bash", "-c", 'rmdir "$PWD" && exec "$0" "$@"', str(PROGRAM), *words], cwd=folder,
        env={**kept, "HOME": str(tmp_path / "home"), **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def configuration(tmp_path: Path) -> Path:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    text = ONE_RULE.replace("/srv/in", str(tmp_path / "in")).replace("/srv/out", str(tmp_path / "out"))
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("/var/lib/lalald", str(tmp_path / "state")))
    return path


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("config", ["absolute", "relative", "none"])
def test_no_command_ends_in_a_traceback_where_the_working_folder_was_deleted(
    verb: str, config: str, tmp_path: Path
) -> None:
    path = configuration(tmp_path)
    named = {"absolute": str(path), "relative": "config.yaml"}.get(config)
    if named and not VERBS[verb].configured:
        pytest.skip("it reads no configuration")
    words = ("--config", named) if named else ()
    done = in_a_deleted_folder(tmp_path, *words, verb, *WORDS.get(verb, ()), LALALD_API_URL="http://127.0.0.1:9")
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1, 2, 3)
    if config == "relative":
        assert (done.returncode, "working folder was deleted" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("variable", ["LALALD_CONFIG", "LALALD_STATE_DIR", "LALALD_LICENSE_KEY_FILE"])
def test_relative_paths_of_the_environment_are_explained_there(variable: str, tmp_path: Path) -> None:
    environ = {"LALALD_CONFIG": str(configuration(tmp_path)), variable: "some/where"}
    done = in_a_deleted_folder(tmp_path, "check-config", **environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert variable in done.stderr
    assert "the working folder was deleted; write it in full" in done.stderr


def test_absolute_paths_work_there(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    environ = {"LALALD_CONFIG": str(path), "LALALD_LICENSE_KEY": "a-key"}
    assert in_a_deleted_folder(tmp_path, "check-config", **environ).returncode == 0
    assert in_a_deleted_folder(tmp_path, "run", "--once", **environ).returncode == 0
    made = in_a_deleted_folder(tmp_path, "init", str(tmp_path / "made"))
    assert (made.returncode, (tmp_path / "made/config.yaml").exists()) == (0, True)


# what --config may lead to


def lalald(*words: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LALALD_", "XDG_", "HOME"))}
    return subprocess.run(
        [str(PROGRAM), *words], env={**kept, **(environ or {})}, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


@pytest.mark.parametrize("content", [None, b"", b"inboxes:\n"], ids=["no writer", "silent writer", "slow writer"])
def test_a_pipe_that_does_not_end_is_given_some_seconds(content: bytes | None, tmp_path: Path) -> None:
    """Found in use: any command with such a configuration waited forever."""
    os.mkfifo(tmp_path / "pipe")
    writer = None if content is None else os.open(tmp_path / "pipe", os.O_RDWR)
    if writer and content:
        os.write(writer, content)
    try:
        with pytest.raises(ConfigError, match=r"pipe is a pipe, and was not written to its end within 0\.05 s"):
            read_text(tmp_path / "pipe", pipe_seconds=0.05)
    finally:
        if writer:
            os.close(writer)


def test_a_configuration_may_come_through_a_pipe(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    done = subprocess.run(
        ["bash", "-c", f"{PROGRAM} --config <(cat {path}) check-config"], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "in") in done.stdout


@pytest.mark.parametrize("verb", ["check-config", "status", "run"])
def test_a_folder_as_configuration_is_explained_by_every_command(verb: str, tmp_path: Path) -> None:
    configuration(tmp_path)
    done = lalald("--config", ".", verb, cwd=tmp_path, environ={"HOME": str(tmp_path)})
    assert done.returncode == 2
    assert f'{tmp_path} is a folder, not a file. Did you mean "{tmp_path}/config.yaml"?' in done.stderr


@pytest.mark.parametrize("verb", ["check-config", "status", "run"])
def test_an_empty_config_option_is_an_error_and_not_the_usual_places(verb: str, tmp_path: Path) -> None:
    """`--config "$UNSET"`"""
    done = lalald("--config", "", verb, cwd=tmp_path, environ={"HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "--config: expected a path, got nothing" in done.stderr


@pytest.mark.parametrize("verb", ["check-config", "status"])
def test_the_configuration_in_the_working_folder_is_pointed_at(verb: str, tmp_path: Path) -> None:
    configuration(tmp_path)
    done = lalald(verb, cwd=tmp_path, environ={"HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "lalald --config ./config.yaml" in done.stderr


WITHOUT_A_HOME = """
import os, sys
import lalald.commands.check_config, lalald.commands.parser, lalald.config.loading, lalald.commands.status, lalald.__main__
import lalald.commands.output.error_output, lalald.commands.output.json_output
import importlib, pkgutil
from contextlib import suppress
for module in pkgutil.walk_packages(lalald.__path__, "lalald."):  # loads what this user may not be able to read itself
    if not module.name.endswith("__main__"):
        with suppress(ImportError):  # what an extra brings
            importlib.import_module(module.name)
lalald.commands.parser.build(sys.argv[1:])
os.setgroups([])
os.setuid(54321)
sys.exit(lalald.__main__.main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without an entry")
@pytest.mark.parametrize("verb", ["check-config", "status"])
def test_without_a_home_the_usual_place_of_the_system_is_named(verb: str) -> None:
    """A user without an entry, as in a container: seen that `status` spoke of state_dir, not of the configuration."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_HOME, verb], env={"PATH": os.environ["PATH"]}, cwd="/", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "no configuration found; looked for --config, $LALALD_CONFIG, /etc/lalald/config.yaml" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="root reads everything")
@pytest.mark.parametrize("verb", ["check-config", "status"])
def test_a_configuration_that_may_not_be_read_names_the_user(verb: str, open_folder: Path) -> None:
    path = open_folder / "config.yaml"
    path.write_text(ONE_RULE)
    path.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_HOME, "--config", str(path), verb], env={"PATH": os.environ["PATH"]}, cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"{path} cannot be read by uid 54321: Permission denied" in done.stderr
