"""A log that cannot be written loses lines, which are counted and reported; work and exit codes do not change."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lalald.daemon.log.log_output import LogStream
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.private_mounts import Filler, in_own_mounts, mount_disk
from tests.support.running import MOST_STOP_SECONDS, Home, tree, until, write_wav

TRACKS = ["song/no_vocals.wav", "song/vocals.wav"]


@contextmanager
def daemon(home: Home, stderr: int, *words: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`lalald run` with this log; it is stopped at the end of the block."""
    command = [sys.executable, "-m", "lalald", "run", *words]
    process = subprocess.Popen(command, env=home.environ, stderr=stderr, **{"stdout": subprocess.DEVNULL, **more})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def delivered(home: Home) -> bool:
    return tree(home.outbox) == TRACKS


def is_ready(home: Home) -> bool:
    return home.command("health").returncode == 0


def terminated(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(20)


def entries(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# the real daemon


@pytest.mark.parametrize("stdout_too", [False, True])
def test_a_log_reader_that_leaves_does_not_stop_work(sandbox: Sandbox, make_home: MakeHome, stdout_too: bool) -> None:
    home = make_home(sandbox.url)
    reader, writer = os.pipe()
    with daemon(home, writer, stdout=writer if stdout_too else subprocess.DEVNULL) as process:
        os.close(writer)
        os.read(reader, 1)  # `| head -1`
        os.close(reader)
        write_wav(home.inbox / "song.wav")
        until(lambda: delivered(home), "the file is delivered without a log")
        assert terminated(process) == 0


def test_a_full_log_disk_changes_no_exit_code(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    write_wav(home.inbox / "song.wav")
    with open("/dev/full", "wb") as full, daemon(home, full.fileno(), "--once") as process:
        assert process.wait(60) == 0
    assert delivered(home)
    sandbox.faults("split:400*0")
    write_wav(home.inbox / "bad.wav", pitch=300)
    with open("/dev/full", "wb") as full, daemon(home, full.fileno(), "--once") as process:
        assert process.wait(60) == 1, "a job failed"


def test_a_closed_or_read_only_log_does_not_stop_work(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    for number, redirected in enumerate(("2>&-", "2</dev/null", ">&- 2>&- <&-"), 1):
        write_wav(home.inbox / "song.wav", pitch=200 + number)
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m lalald run --once {redirected}', sys.executable],
            env=home.environ, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, len(home.jobs())) == (0, number), redirected


def test_lost_lines_are_reported_when_the_log_disk_has_room_again(tmp_path: Path) -> None:
    in_own_mounts(lambda: _log_disk(tmp_path))


def _log_disk(root: Path) -> None:
    mount_disk(root / "log", "64k")
    filler = Filler(root / "log")
    with Sandbox() as sandbox, (root / "log/lalald.log").open("ab", buffering=0) as log:
        home = Home(root / "home", sandbox.url, log={"level": "debug"})
        with daemon(home, log.fileno()) as process:
            until(lambda: b"daemon.ready" in (root / "log/lalald.log").read_bytes(), "the daemon is ready")
            filler.fill()  # but for the rest of the log's own page
            for number in range(5):
                write_wav(home.inbox / f"{number}.wav", pitch=200 + number)
            until(lambda: len(tree(home.outbox)) == 10, "the files are delivered without a log")
            home.rest()
            filler.empty()
            assert terminated(process) == 0
        lines = [line for line in (root / "log/lalald.log").read_bytes().splitlines() if line.endswith(b"}")]
    lost = [entry for entry in entries(b"\n".join(lines)) if entry["event"] == "log.lines_lost"]
    assert len(lost) == 1, "said once, when there was room again"
    assert lost[0]["lines"] >= 5
    assert (lost[0]["reason"], lost[0]["level"]) == ("No space left on device", "warning")
    assert entries(lines[-1])[0]["event"] == "daemon.stopped"


def test_a_log_that_is_not_read_stops_no_work_and_delays_no_stop(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, log={"level": "debug"})
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with daemon(home, writer) as process:
        until(lambda: is_ready(home), "the daemon is ready")
        for number in range(8):
            write_wav(home.inbox / f"{number}.wav", seconds=0.2, pitch=200 + number)
        until(lambda: len(tree(home.outbox)) == 16, "all files are delivered")
        assert is_ready(home)
        began_at = time.monotonic()
        assert terminated(process) == 0
        assert time.monotonic() - began_at < MOST_STOP_SECONDS
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("error", ["RuntimeError", "BrokenPipeError", "StoreError"])
def test_the_final_error_follows_the_lines_logged_before(tmp_path: Path, error: str) -> None:
    """Whatever its kind: a broken pipe of its own is not the log's."""
    program = f"""
import sys
from pathlib import Path
from lalald.daemon import daemon
from lalald.__main__ import guarded
from lalald.config import Config
from lalald.errors import StoreError

def open_store(_folder):
    for number in range(3000):
        print(f"line {{number}}", file=sys.stderr)
    raise {error}("all is lost")

config = Config(path=Path("config.yaml"), state_dir=Path("state"), inboxes=())
sys.exit(guarded(lambda: daemon.run(config, open_store=open_store)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stderr.splitlines()
    assert lines[:3000] == [f"line {number}" for number in range(3000)]
    assert "all is lost" in lines[-1]
    assert done.returncode == (3 if error == "StoreError" else 1)


def test_the_final_error_does_not_wait_for_a_stalled_reader() -> None:
    program = """
import sys
from lalald import log_output
log_output.take_over()
print("x" * 100_000, file=sys.stderr)
raise RuntimeError
"""
    reader, writer = os.pipe()
    done = subprocess.run([sys.executable, "-c", program], stderr=writer, timeout=20, check=False)
    os.close(writer)
    os.close(reader)
    assert done.returncode == 1


# the other commands


@pytest.mark.parametrize(
    ("words", "code"), [("health", 3), ("frobnicate", 2), ("show 77", 2), ("check-config --config /nowhere.yaml", 2)]
)
def test_an_error_that_cannot_be_written_still_sets_the_exit_code(
    sandbox: Sandbox, make_home: MakeHome, words: str, code: int
) -> None:
    home = make_home(sandbox.url)
    home.command("run", "--once")
    assert home.command(*words.split()).returncode == code
    reader, broken = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full:
        for stderr in (full.fileno(), broken):
            done = subprocess.run(
                [sys.executable, "-m", "lalald", *words.split()], env=home.environ, stderr=stderr,
                stdout=subprocess.PIPE, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == code
    os.close(broken)


@pytest.mark.parametrize("words", ["jobs", "jobs --json", "--help", "jobs --help", "schema", "status", "show 77"])
def test_a_reader_that_stops_early_causes_no_traceback(sandbox: Sandbox, make_home: MakeHome, words: str) -> None:
    home = make_home(sandbox.url)
    home.command("run", "--once")
    reader, broken = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "lalald", *words.split()], env=home.environ, stdout=broken,
        stderr=subprocess.PIPE, timeout=60, check=False,
    )  # fmt: skip
    os.close(broken)
    output = done.stderr.decode()
    assert not [word for word in ("Traceback", "Exception ignored", "BrokenPipe") if word in output]
    assert done.returncode == (2 if words == "show 77" else 0), output


# the stream


class Pipe:
    """A small pipe with a stream at its writing end."""

    def __init__(self, **settings: Any) -> None:
        self.reader, self.writer = os.pipe()
        self.size = fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self.stream = LogStream(self.writer, room_seconds=0.01, **settings)
        self.stream.describe_loss = "lost {} ({})\n".format

    def read_all(self) -> list[str]:
        """Everything that the stream writes."""
        found: list[bytes] = []
        ended = threading.Event()

        def read() -> None:
            while chunk := os.read(self.reader, 1000):
                found.append(chunk)
            ended.set()

        threading.Thread(target=read).start()
        assert self.stream.drain(10)
        os.close(self.writer)
        assert ended.wait(10)
        os.close(self.reader)
        return b"".join(found).decode().splitlines()


def test_lines_without_room_are_counted_and_the_others_stay_in_order() -> None:
    pipe = Pipe(most_waiting_bytes=2000)
    began_at = time.monotonic()
    for number in range(5000):
        pipe.stream.write(f"line {number}\n")
    assert time.monotonic() - began_at < 20.0, "a stalled reader is waited for once"
    lines = pipe.read_all()
    (gap,) = [place for place, line in enumerate(lines) if line.startswith("lost")]
    assert lines == [*(f"line {number}" for number in range(gap)), lines[gap]]
    assert lines[gap] == f"lost {5000 - gap} (the log is not read fast enough)"
    assert gap > 100


def test_lines_are_written_again_after_a_loss() -> None:
    pipe = Pipe(most_waiting_bytes=1000)
    for number in range(2000):
        pipe.stream.write(f"line {number}\n")
    taken = b""
    while b"lost" not in taken:
        taken += os.read(pipe.reader, 1000)
    pipe.stream.write("further\n")
    assert pipe.read_all()[-1] == "further"


def test_a_slow_reader_loses_nothing() -> None:
    pipe = Pipe(most_waiting_bytes=1 << 20)

    def write() -> None:
        for number in range(20_000):
            pipe.stream.write(f"line {number}\n")

    writing = threading.Thread(target=write)
    writing.start()
    found = b""
    while not found.endswith(b"line 19999\n"):
        found += os.read(pipe.reader, 700)
    writing.join()
    assert found.decode().splitlines() == [f"line {number}" for number in range(20_000)]


def test_refused_lines_are_counted_and_a_partial_line_is_ended(tmp_path: Path) -> None:
    in_own_mounts(lambda: _torn(tmp_path))


def _torn(root: Path) -> None:
    mount_disk(root / "log", "64k")
    filler = Filler(root / "log")
    with (root / "log/log").open("ab", buffering=0) as log:
        stream = LogStream(log.fileno())
        stream.describe_loss = "lost {} ({})\n".format
        stream.write("x" * 3999 + "\n")
        assert stream.drain(5)
        filler.fill()
        for number in range(3):
            stream.write(f"{number}" * 199 + "\n")  # 96 bytes are left in the file's page
        assert stream.drain(5)
        filler.empty()
        stream.write("again\n")
        assert stream.drain(5)
    lines = (root / "log/log").read_text().splitlines()
    assert lines[1:] == ["0" * 96, "lost 3 (No space left on device)", "again"]


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing() -> None:
    pipe = Pipe()
    os.set_blocking(pipe.writer, False)
    for number in range(2000):
        pipe.stream.write(f"line {number}\n")
    assert pipe.read_all() == [f"line {number}" for number in range(2000)]


def test_threads_write_whole_lines() -> None:
    pipe = Pipe()

    def write(letter: str) -> None:
        for _ in range(500):
            for part in (letter, letter, f"{letter}\n"):
                pipe.stream.write(part)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(pipe.read_all()) == ["aaa"] * 500 + ["bbb"] * 500 + ["ccc"] * 500


def test_characters_that_the_locale_lacks_are_escaped() -> None:
    pipe = Pipe(encoding="ascii")
    pipe.stream.write("żółw \udcff\n")
    pipe.stream.write("unfinished")
    assert pipe.read_all() == ["\\u017c\\xf3\\u0142w \\udcff", "unfinished"]
