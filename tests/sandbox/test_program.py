"""`lalald sandbox` as a program."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.running import files_below

PROGRAM = [sys.executable, "-m", "lalald", "sandbox", "--port", "0"]
WITHOUT_EXTRA = """
import sys
sys.modules["starlette"] = None
from lalald.__main__ import main
sys.exit(main(["sandbox"]))
"""


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and its address; its uploads are in `folder`."""
    command = [*PROGRAM, "--folder", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            line = program.stdout.readline()
            found = re.search(r"LALALD_API_URL=(\S+)", line)
            assert found, line
            yield program, found[1]
        finally:
            program.kill()


def call(url: str, operation: str, body: object) -> httpx.Response:
    address = f"{url}/api/v1/{operation}/"
    return httpx.post(address, json=body, headers={"X-License-Key": "k"}, verify=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as (program, url):
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=5) as connection:
            head = "POST /api/v1/upload/ HTTP/1.1\r\nHost: a\r\nX-License-Key: k\r\nContent-Length: 400000\r\n"
            connection.sendall(f"{head}Content-Disposition: attachment; filename=a\r\n\r\n".encode() + bytes(300_000))
            while not files_below(tmp_path):
                assert program.poll() is None
            program.send_signal(number)
            output, errors = program.communicate(timeout=5)

    assert (program.returncode, output, errors) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_uploads_of_a_killed_sandbox_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    with running(tmp_path) as (living, _), running(tmp_path) as (killed, _):
        killed.kill()
        killed.wait(5)
        assert len(list(tmp_path.iterdir())) == 2
        with running(tmp_path) as (_, url):
            assert call(url, "limits/minutes_left", None).status_code == 200
            assert len(list(tmp_path.iterdir())) == 2  # the living one's, and its own
        assert living.poll() is None


def test_every_option_is_on_the_command_line(tmp_path: Path) -> None:
    options = ["--key", "one", "--key", "two", "--minutes", "7.5", "--fault", "voices:503", "--fault", "voices:500"]
    options += ["--duration", "film.mpg=5400", "--duration", "a=b*.aac=180"]
    with running(tmp_path, *options) as (_, url):
        state = httpx.get(f"{url}/sandbox/state", verify=False).json()
        refused = call(url, "limits/minutes_left", None).status_code

    assert (state["keys"], state["minutes_left"], refused) == (["one", "two"], 7.5, 403)
    assert [fault["status"] for fault in state["faults"]] == [503, 500]
    assert state["durations"] == {"film.mpg": 5400, "a=b*.aac": 180}


def test_a_start_that_fails_reports_the_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mistakes = {
            "address already in use": ["--port", str(taken.getsockname()[1])],
            "No such file or directory": ["--folder", str(tmp_path / "missing")],
            "wobble": ["--fault", "voices:wobble"],
            "-1 is below 0": ["--minutes", "-1"],
            "expected NAME=SECONDS": ["--duration", "film.mpg=an hour"],
            "65536 is above 65535": ["--port", "65536"],
            f"No such file or directory: '{tmp_path}/none.pem'": [
                "--port",
                "0",
                "--certificate",
                f"{tmp_path}/none.pem",
            ],
        }
        programs = [
            subprocess.Popen([*PROGRAM, *options], stderr=subprocess.PIPE, text=True) for options in mistakes.values()
        ]
        errors = [program.communicate(timeout=30)[1] for program in programs]

    assert [program.returncode for program in programs] == [2] * 7
    assert [words in error for words, error in zip(mistakes, errors, strict=True)] == [True] * 7
    assert not any("Traceback" in error for error in errors)


def test_without_its_extra_the_sandbox_names_what_to_install() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA], capture_output=True, text=True, timeout=10, check=False
    )

    assert ended.returncode == 2
    assert "starlette" in ended.stderr
    assert "pip install 'lalald[sandbox]'" in ended.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_the_sandbox_serves_tls_with_a_certificate(tmp_path: Path) -> None:
    pair = [str(tmp_path / name) for name in ("certificate.pem", "key.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*make, "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    faults = ["--fault", "voices:reset_before", "--fault", "voices:cut", "--fault", "voices:reset_during"]
    with running(tmp_path, "--certificate", pair[0], "--certificate-key", pair[1], *faults) as (_, url):
        for _ in faults[::2]:
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):  # and no time-out
                call(url, "voice_packs/list", None)
        answer = call(url, "voice_packs/list", None)

    assert url.startswith("https://127.0.0.1:")
    assert answer.status_code == 200
