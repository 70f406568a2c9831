"""The configuration as a process of its own reads it for the daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from lalald.config import Config, load, subprocess_loader
from lalald.errors import ConfigError
from tests.support.config_files import CONTRACT, ONE_RULE

ENVIRON = {"HOME": "/home/me", "LALALD_LOG_LEVEL": "debug"}


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(path: Path) -> tuple[str, str]:
    with pytest.raises(ConfigError) as raised:
        subprocess_loader.load(path, ENVIRON)
    return str(raised.value), raised.value.hint


def readers() -> set[int]:
    """The children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return {int(child) for child in children.split()}


def facts(config: Config) -> tuple[Config, object, object]:
    return config, config.warnings, config.lines


def test_it_is_the_same_configuration(tmp_path: Path) -> None:
    path = written(tmp_path, CONTRACT)
    assert facts(subprocess_loader.load(path, ENVIRON)) == facts(load(path, ENVIRON))
    assert subprocess_loader.load(path, ENVIRON).log.level == "debug"


@pytest.mark.parametrize("text", ["", "inboxes: [", ONE_RULE + "inbokses: 1\nhistory: soon\n"])
def test_its_errors_are_reported_in_the_same_words(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(path, ENVIRON)
    assert error_of(path) == (str(raised.value), raised.value.hint)


def test_a_reader_that_is_killed_is_a_configuration_that_was_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    os.mkfifo(path)  # nobody writes: the reader waits until it is killed
    before = readers()
    reading = subprocess_loader.begin(path, ENVIRON)
    (reader,) = readers() - before
    os.kill(reader, signal.SIGKILL)
    with pytest.raises(ConfigError, match=r"config\.yaml was not read: the process that reads it ended with -9"):
        reading()
    assert reader not in readers()


def test_no_reader_is_left_behind(tmp_path: Path) -> None:
    before = readers()
    subprocess_loader.load(written(tmp_path, CONTRACT), ENVIRON)
    error_of(written(tmp_path, "inboxes: 1"))
    assert readers() == before


def test_code_in_the_working_folder_is_not_run(tmp_path: Path) -> None:
    for name in ("pickle.py", "yaml.py", "lalald.py"):
        (tmp_path / name).write_text("raise SystemExit('foreign code was run')", encoding="utf-8")
    path = written(tmp_path, CONTRACT)
    with chdir(tmp_path):
        assert subprocess_loader.load(path, ENVIRON).path == path


@pytest.mark.parametrize("asked", ["--config <(cat {})", "--config /dev/stdin < {}", "--config /dev/stdin < <(cat {})"])
def test_a_configuration_that_comes_by_a_pipe_is_read(tmp_path: Path, asked: str) -> None:
    path = written(tmp_path, ONE_RULE + "inbokses: 1\n")
    command = f"exec {sys.executable} -m lalald run {asked.format(path)}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert 'inbokses: unknown key. Did you mean "inboxes"?' in ended.stderr


def test_an_interpreter_that_is_gone_since_the_start_is_a_configuration_that_was_not_read(tmp_path: Path) -> None:
    """As an update of Python may leave it; a reload then keeps the old configuration."""
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    script = """if True:
        import os, sys
        from pathlib import Path
        from lalald.config import subprocess_loader
        from lalald.errors import ConfigError
        os.unlink(sys.executable)
        try:
            subprocess_loader.load(Path("config.yaml"), os.environ)
        except ConfigError as error:
            print(error)
    """
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([python, "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"config.yaml was not read: {python} cannot be started for it: No such file or directory\n"


def test_a_reader_whose_daemon_has_ended_says_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-c", "from lalald.config.subprocess_loader import answer; answer('/nowhere')"]
    ended = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False, cwd=tmp_path)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
