"""The units match the program, and the program notifies systemd as the units expect."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import yaml

from lalald.config.license_key import find_key
from lalald.config.secrets.secret_search import found_by
from lalald.filesystem.bounded_calls import BoundedCalls
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support import ROOT
from tests.support.running import DEADLINE_SECONDS, Home, until, write_wav

UNITS = ROOT / "systemd"
SYSTEM, USER, FOLDERS = UNITS / "lalald.service", UNITS / "user" / "lalald.service", UNITS / "folders.conf"
EXPOSURE_TENTHS = 11


def settings(unit: Path, section: str = "Service") -> dict[str, list[str]]:
    """The settings in one section of a unit file; a key may occur several times."""
    found: dict[str, list[str]] = {}
    inside = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            inside = line.strip("[]")
        elif inside == section and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def rows(name: str) -> list[list[str]]:
    """The lines of a sysusers.d or tmpfiles.d file as fields."""
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    return [re.findall(r'"[^"]*"|\S+', line) for line in lines if line and not line.startswith("#")]


# the files


@pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])
def test_the_units_use_notify_hup_and_the_watchdog(unit: Path) -> None:
    said = settings(unit)
    assert said["Type"] == ["notify"]
    assert said["ExecStart"][0].endswith("/bin/lalald run")
    assert said["ExecReload"] == ["kill -HUP $MAINPID"]
    assert "WatchdogSec" in said
    assert said["Restart"] == ["on-failure"]
    assert said["SyslogLevel"] == ["info"]  # errors bring their priority; a dump of all threads has none
    assert settings(unit, "Unit")["StartLimitIntervalSec"] == ["0"]


def test_errors_that_no_restart_fixes_have_the_exit_code_that_the_units_do_not_restart(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("inboxes: 3\n")
    ended = subprocess.run(
        [sys.executable, "-m", "lalald", "run", "--config", str(config)], capture_output=True, check=False
    )
    for unit in (SYSTEM, USER):
        (kept,) = settings(unit)["RestartPreventExitStatus"]
        assert str(ended.returncode) in kept.split()


def test_the_placeholders_of_unit_and_tmpfiles_are_not_accepted_as_keys(tmp_path: Path) -> None:
    (credential,) = settings(SYSTEM)["SetCredential"]
    name, _, text = credential.partition(":")
    assert name == "license-key"
    (row,) = [row for row in rows("tmpfiles.conf") if row[1].endswith("/license-key")]
    assert settings(SYSTEM)["LoadCredential"] == [f"license-key:{row[1]}"]
    for placeholder in (text, row[-1]):
        (tmp_path / "license-key").write_text(placeholder)
        search = find_key(tmp_path / "license-key", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
        found = found_by(search, BoundedCalls())
        assert (found.key, found.error) == (None, None)


def test_user_folders_and_example_agree() -> None:
    said = settings(SYSTEM)
    (user,) = said["User"]
    ((kind, name, _, _, home),) = rows("sysusers.conf")
    assert (kind, name, home) == ("u", user, f"/var/lib/{said['StateDirectory'][0]}")
    example = yaml.safe_load((ROOT / "config.example.yaml").read_text(encoding="utf-8"))
    made = [row for row in rows("tmpfiles.conf") if row[0] in ("d", "f")]
    owners = {row[1]: (row[3], row[4]) for row in made}
    modes = {row[1]: row[2] for row in made}
    assert example["state_dir"] == home
    assert owners[example["license_key_file"]] == (user, user)
    assert modes[example["license_key_file"]] == "0400"  # those who drop files are in the group, and need no key
    for folder in (example["inboxes"][0]["path"], example["inboxes"][0]["outbox"]):
        assert owners[folder] == (user, user)
        assert any(Path(folder).is_relative_to(path.removeprefix("-")) for path in said["ReadWritePaths"])


@pytest.mark.parametrize("unit", [SYSTEM, FOLDERS], ids=["system", "folders"])
def test_a_folder_that_is_not_there_does_not_stop_the_start(unit: Path) -> None:
    said = settings(unit)
    assert all(path.startswith("-/") for path in said["ReadWritePaths"] + said.get("BindPaths", []))


def test_the_share_group_is_commented_out_and_a_missing_one_causes_no_restart_loop() -> None:
    assert "SupplementaryGroups" not in settings(FOLDERS)
    assert "#SupplementaryGroups=" in FOLDERS.read_text(encoding="utf-8")
    assert settings(SYSTEM)["RestartPreventExitStatus"][0].split()[1:] == ["GROUP", "USER"]


def test_a_share_is_named_by_its_mount_point() -> None:
    (mount,) = settings(FOLDERS, "Unit")["After"]
    point = "/" + mount.removesuffix(".mount").replace("-", "/")
    assert settings(FOLDERS)["ReadWritePaths"] == [f"-{point}"]


needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, with all of its output in `stdout`."""
    runtime = {"XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/tmp")}  # --user needs one
    return subprocess.run(
        ["systemd-analyze", *words],
        env={**os.environ, **runtime},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def installed(unit: Path, folder: Path, drop_in: str = "") -> Path:
    """A copy of the unit with an existing program and a drop-in."""
    path = folder / "lalald.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    if drop_in:
        path.with_name("lalald.service.d").mkdir()
        (folder / "lalald.service.d" / "folders.conf").write_text(drop_in)
    return path


@needs_systemd_analyze
@pytest.mark.parametrize(
    ("unit", "scope", "drop_in"),
    [(SYSTEM, "--system", False), (SYSTEM, "--system", True), (USER, "--user", False)],
    ids=["system", "system with folders", "user"],
)
def test_systemd_analyze_verify_accepts_the_units(unit: Path, scope: str, drop_in: bool, tmp_path: Path) -> None:
    path = installed(unit, tmp_path, FOLDERS.read_text() if drop_in else "")
    verdict = analyze("verify", "--man=no", scope, str(path))
    assert (verdict.returncode, verdict.stdout) == (0, "")


@needs_systemd_analyze
def test_systemd_analyze_verify_reports_an_error(tmp_path: Path) -> None:
    path = installed(SYSTEM, tmp_path, "[Service]\nReadWritePathes=/srv\n")
    assert "ReadWritePathes" in analyze("verify", "--man=no", str(path)).stdout


def exposure(unit: Path) -> subprocess.CompletedProcess[str]:
    return analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_TENTHS}", str(unit))


@needs_systemd_analyze
def test_the_service_is_confined(tmp_path: Path) -> None:
    verdict = exposure(installed(SYSTEM, tmp_path))
    assert verdict.returncode == 0, verdict.stdout


@needs_systemd_analyze
def test_a_less_confined_service_fails_the_check(tmp_path: Path) -> None:
    assert exposure(installed(SYSTEM, tmp_path, "[Service]\nPrivateDevices=no\n")).returncode != 0


# the program


class Manager:
    """Stands in for systemd: receives the notifications of one service, in order."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.environ = {"NOTIFY_SOCKET": str(folder / "notify")}
        self.heard: list[str] = []

    def hear(self, wanted: Callable[[str], bool], what: str, seconds: float = DEADLINE_SECONDS) -> str:
        """The next notification of the kind that is wanted; what comes before it is kept in `heard`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                said = self.socket.recv(65536).decode()
            except TimeoutError:
                break
            self.heard.append(said)
            if wanted(said):
                return said
        raise AssertionError(f"not heard within {seconds:g} s: {what}; heard: {self.heard}")

    def hear_word(self, word: str) -> str:
        return self.hear(lambda said: word in said.splitlines(), word)

    def hear_status(self, pattern: str) -> str:
        return self.hear(lambda said: bool(re.fullmatch(f"STATUS={pattern}", said)), f"STATUS={pattern}")

    def silent(self, seconds: float) -> bool:
        """Whether no notification arrives for so long."""
        self.socket.settimeout(seconds)
        try:
            self.heard.append(self.socket.recv(65536).decode())
        except TimeoutError:
            return True
        return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    started = Manager(tmp_path)
    with closing(started.socket):
        yield started


@pytest.fixture
def slow_sandbox() -> Iterator[Sandbox]:
    with Sandbox(Options(keys=("a-key",), processing_seconds=1.5)) as started:
        yield started


def start(home: Home, manager: Manager, **environ: str) -> subprocess.Popen[bytes]:
    return home.start(environ={**manager.environ, **environ}, wait=False)


def test_systemd_gets_ready_after_the_first_scan_then_the_status_then_the_stop(
    slow_sandbox: Sandbox, make_home: MakeHome, manager: Manager
) -> None:
    home = make_home(slow_sandbox.url)
    write_wav(home.inbox / "before.wav")
    start(home, manager)
    manager.hear_word("READY=1")
    assert [entry["inbox"] for entry in home.logged("inbox.watched")] == [str(home.inbox)]
    manager.hear_status("1 processing")
    manager.hear_status("idle")
    assert (home.inbox / "done" / "before.wav").exists()
    assert home.stop() == 0
    manager.hear_word("STOPPING=1")


def test_the_systemd_status_says_that_an_inbox_is_unavailable_and_back(
    sandbox: Sandbox, make_home: MakeHome, manager: Manager
) -> None:
    home = make_home(sandbox.url)
    home.inbox.rmdir()
    start(home, manager)
    manager.hear_word("READY=1")
    assert "STATUS=1 inbox unavailable" in manager.heard
    home.inbox.mkdir()
    manager.hear_status("idle")


def test_a_placeholder_is_not_a_key_and_a_reload_uses_the_new_key(
    slow_sandbox: Sandbox, make_home: MakeHome, manager: Manager, tmp_path: Path
) -> None:
    key = tmp_path / "license-key"
    key.write_text("no-key\n")
    home = make_home(slow_sandbox.url, license_key_file=str(key))
    process = start(home, manager, LALALD_LICENSE_KEY="", CREDENTIALS_DIRECTORY=str(tmp_path))
    manager.hear_word("READY=1")
    if not any("no usable license key" in said for said in manager.heard):
        manager.hear_status("no usable license key.*")
    write_wav(home.inbox / "song.wav")
    manager.hear_status(".*1 held: license")

    key.write_text("a-key\n")
    process.send_signal(signal.SIGHUP)

    began = manager.hear_word("RELOADING=1")
    assert re.search(r"^MONOTONIC_USEC=\d+$", began, re.MULTILINE)
    manager.hear_word("READY=1")
    manager.hear_status("1 processing")
    manager.hear_status("idle")
    assert (home.inbox / "done" / "song.wav").exists()
    assert process.poll() is None


def test_a_reload_without_waiting_jobs_reports_that_the_key_is_accepted(
    sandbox: Sandbox, make_home: MakeHome, manager: Manager, tmp_path: Path
) -> None:
    key = tmp_path / "license-key"
    key.write_text("no-key\n")
    home = make_home(sandbox.url, license_key_file=str(key))
    process = start(home, manager, LALALD_LICENSE_KEY="")
    manager.hear_word("READY=1")
    if not any("no usable license key" in said for said in manager.heard):
        manager.hear_status("no usable license key.*")
    key.write_text("a-key\n")
    process.send_signal(signal.SIGHUP)
    manager.hear_status("idle")


def test_a_reload_reports_that_a_systemd_credential_is_unchanged(
    sandbox: Sandbox, make_home: MakeHome, manager: Manager, tmp_path: Path
) -> None:
    (tmp_path / "license-key").write_text("a-key")
    home = make_home(sandbox.url)
    process = start(home, manager, LALALD_LICENSE_KEY="", CREDENTIALS_DIRECTORY=str(tmp_path))
    manager.hear_word("READY=1")
    assert not home.logged("license.key_unchanged")
    process.send_signal(signal.SIGHUP)
    manager.hear_word("RELOADING=1")
    manager.hear_word("READY=1")
    assert len(home.logged("license.key_unchanged")) == 1


def test_a_reload_with_errors_ends_and_keeps_the_previous_configuration(
    sandbox: Sandbox, make_home: MakeHome, manager: Manager
) -> None:
    home = make_home(sandbox.url)
    process = start(home, manager)
    manager.hear_word("READY=1")
    home.config.write_text(home.config.read_text() + "nonsense: 1\n")
    process.send_signal(signal.SIGHUP)
    manager.hear_word("RELOADING=1")
    manager.hear_word("READY=1")
    (kept,) = home.logged("config.rejected")
    assert "nonsense" in kept["reason"]
    write_wav(home.inbox / "song.wav")
    until((home.inbox / "done" / "song.wav").exists, "the daemon continues")


def test_the_watchdog_is_fed_only_while_every_loop_runs(
    sandbox: Sandbox, make_home: MakeHome, manager: Manager
) -> None:
    home = make_home(sandbox.url)
    start(home, manager, WATCHDOG_USEC="400000")
    manager.hear_word("READY=1")
    for _ in range(3):
        manager.hear_word("WATCHDOG=1")
    with closing(sqlite3.connect(home.state / "lalald.sqlite3", isolation_level=None)) as other_program:
        other_program.execute("BEGIN EXCLUSIVE")
        write_wav(home.inbox / "song.wav")  # which the database's thread now cannot note
        until(lambda: manager.silent(1.0), "the watchdog is not fed while a loop is stuck")
        other_program.execute("ROLLBACK")
    manager.hear_word("WATCHDOG=1")
    until((home.inbox / "done" / "song.wav").exists, "the daemon continues")


@pytest.mark.parametrize("form", ["auto", "console"])
def test_lines_for_the_journal_begin_with_their_priority(form: str, make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url, log={"format": form})
    home.config.write_text(home.config.read_text().replace(str(home.inbox), str(home.root / "missing")))
    reader, writer = os.pipe()
    facts = os.fstat(writer)
    process = subprocess.Popen(
        [sys.executable, "-m", "lalald", "run"],
        env={**home.environ, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"},
        stderr=writer,
        stdout=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as journal:
        lines = []
        for line in journal:
            lines.append(line)
            if "daemon.ready" in line:
                break
        process.terminate()
        lines += list(journal)
    assert process.wait(20) == 0
    priorities = {line[:3] for line in lines}
    if form == "auto":
        assert all(re.search(r'"timestamp": "[^"]+Z"', line) for line in lines), "times without a zone are ambiguous"
    assert all(
        re.match(r"<\d>\{.*\}$" if form == "auto" else r"<\d>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines
    ), lines
    (unavailable,) = [line for line in lines if "inbox.unavailable" in line]
    assert '"level": "warning"' in unavailable or "  warning: " in unavailable
    assert unavailable.startswith("<4>")
    assert "<6>" in priorities


def journal_of(home: Home, *, end: Callable[[subprocess.Popen[bytes]], None]) -> list[str]:
    """What the journal would receive from a daemon that ends like this."""
    reader, writer = os.pipe()
    facts = os.fstat(writer)
    environ = {**home.environ, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
    process = subprocess.Popen([sys.executable, "-m", "lalald", "run"], env=environ, stderr=writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as journal:
        lines = []
        for line in journal:
            lines.append(line.rstrip("\n"))
            if "daemon.ready" in line:
                end(process)
    process.wait(20)
    return lines


def test_the_error_that_ends_the_daemon_has_its_priority_in_the_journal(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url)
    home.config.write_text(home.config.read_text() + "nonsense: 1\n")
    lines = journal_of(home, end=lambda process: process.kill())
    assert any("nonsense" in line for line in lines)
    assert all(line.startswith("<3>") for line in lines), lines


def test_the_watchdog_leaves_one_dump_without_a_priority(make_home: MakeHome, sandbox: Sandbox) -> None:
    lines = journal_of(make_home(sandbox.url), end=lambda process: process.send_signal(signal.SIGABRT))
    dump = [line for line in lines if not line.startswith("<")]
    assert any("Current thread" in line for line in dump)
    assert any("daemon.py" in line for line in dump)
    assert settings(SYSTEM)["SyslogLevel"] == settings(USER)["SyslogLevel"] == ["info"]


def test_an_idle_daemon_neither_wakes_up_nor_writes(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    write_wav(home.inbox / "song.wav")
    process = home.start()
    until((home.inbox / "done" / "song.wav").exists, "the song is processed")

    def doings() -> tuple[int, str]:
        """How often its threads slept, and how many bytes it wrote."""
        switches = 0
        for thread in os.listdir(f"/proc/{process.pid}/task"):
            with suppress(OSError):  # it has ended meanwhile
                status = Path(f"/proc/{process.pid}/task/{thread}/status").read_text()
                switches += int(re.findall(r"^voluntary_ctxt_switches:\t(\d+)", status, re.MULTILINE)[0])
        written = re.findall(r"^(?:wchar|write_bytes): \d+", Path(f"/proc/{process.pid}/io").read_text(), re.MULTILINE)
        return switches, " ".join(written)

    def asleep() -> bool:
        before = doings()
        time.sleep(2)  # the time that is measured
        return doings() == before

    until(asleep, "two seconds in which nothing happens", seconds=60)
    assert "pydantic" not in Path(f"/proc/{process.pid}/maps").read_text(), "what reads a configuration stays loaded"
