"""The recipes of the guide to notifications, each as it stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalald.jobs.event_kinds import EventKind
from lalald.notify.channels.command import event_variables
from lalald.notify.samples import sample_event
from lalald.reports.metrics import prometheus
from tests.support import ROOT
from tests.support.filled_store import EVERYTHING, NOW, FilledStore, answering
from tests.support.receiver import receiving
from tests.support.running import until, write_wav

GUIDE = ROOT / ".github/guides/notifications.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


MOVE, LOUDNESS, PING, TEXTFILE = blocks("bash")
CRON_PATH = "/usr/bin:/bin"  # of every line of a user's crontab: lalald is in /usr/local/bin


def script(folder: Path, text: str) -> Path:
    path = folder / "hook.sh"
    path.write_text(text)
    path.chmod(0o755)
    return path


def run_hook(path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "LALALD_EVENT": "job.done", **variables}
    return subprocess.run(
        [path], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_results_are_moved_to_the_library_and_its_scan_is_started(tmp_path: Path) -> None:
    results = tmp_path / "outbox/a \"song\" with 'quotes'"
    results.mkdir(parents=True)
    for label in ("vocals", "no_vocals"):
        (results / f"{label}.mp3").write_text(label)
    library = tmp_path / "library"
    with receiving() as player:
        done = run_hook(script(tmp_path, MOVE), LALALD_OUTPUT=str(results), TARGET=str(library), SCAN_URL=player.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(player.requests) == 1
    assert sorted(path.name for path in (library / results.name).iterdir()) == ["no_vocals.mp3", "vocals.mp3"]
    assert not results.exists()
    assert run_hook(tmp_path / "hook.sh", LALALD_EVENT="job.failed").returncode == 0


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_loudness_is_evened_out_beside_each_track(tmp_path: Path) -> None:
    write_wav(tmp_path / "out/vocals.wav")
    path = script(tmp_path, LOUDNESS)
    for _ in range(2):  # its own results are none to be evened out
        done = run_hook(path, LALALD_OUTPUT=str(tmp_path / "out"))
        assert (done.returncode, done.stderr) == (0, "")
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["vocals.loud.wav", "vocals.wav"]
    with wave.open(str(tmp_path / "out/vocals.loud.wav")) as loud, wave.open(str(tmp_path / "out/vocals.wav")) as plain:
        assert loud.getframerate() == plain.getframerate()
        assert loud.getnframes() > 1000


def test_a_ping_is_sent_while_the_daemon_is_healthy_and_only_then(tmp_path: Path) -> None:
    schedule, line = PING.split("*/5 * * * * ")
    assert schedule == ""
    filled_store = FilledStore(tmp_path / "filled_store")
    filled_store.fill()
    program = tmp_path / "lalald"
    program.write_text(f'#!/bin/sh\nexec "{shutil.which("python3", path=python_folder())}" -m lalald "$@"\n')
    program.chmod(0o755)
    with receiving() as watcher:
        typed = line.replace("https://hc-ping.com/YOUR-UUID", watcher.url).replace(
            "/usr/local/bin/lalald", str(program)
        )
        environ = {**filled_store.environ, "PATH": CRON_PATH}

        def ping() -> int:
            return subprocess.run(
                ["sh", "-c", typed], env=environ, capture_output=True, timeout=60, check=False
            ).returncode

        assert ping() != 0
        assert watcher.requests == []
        with answering(filled_store.state):
            assert ping() == 0
        assert len(watcher.requests) == 1


def python_folder() -> str:
    return str(Path(sys.executable).parent)


def test_the_textfile_is_replaced_as_a_whole(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path / "filled_store")
    filled_store.fill()
    program = tmp_path / "lalald"
    line = TEXTFILE.removeprefix("* * * * * ").replace("/var/lib/node_exporter", str(tmp_path))
    line = line.replace("/usr/local/bin/lalald", str(program))
    program.write_text(f'#!/bin/sh\nexec "{shutil.which("python3", path=python_folder())}" -m lalald "$@"\n')
    program.chmod(0o755)
    environ = {**filled_store.environ, "PATH": CRON_PATH}
    subprocess.run(["sh", "-c", line], env=environ, timeout=60, check=True)
    assert "lalald_up 0\n" in (tmp_path / "lalald.prom").read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("lalald.") and path.suffix != ".prom"]


def value_at(facts: Any, path: str) -> Any:
    for key in path.split("."):
        facts = facts[key]
    return facts


def test_dashboards_ask_for_what_status_has(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    facts = json.loads(filled_store.call("status", "--json")[1])
    assistant, homepage, *_ = blocks("yml")
    (rest,) = yaml.load(assistant.replace("!secret ", ""), yaml.SafeLoader)["rest"]
    asked = sorted(set(re.findall(r"value_json\.([\w.]+)", str(rest))))
    (tile,) = yaml.safe_load(homepage)
    for mapping in tile["lalald"]["widget"]["mappings"]:
        # An object: not every version of homepage takes a path with dots.
        ((section, key),) = mapping["field"].items()
        asked.append(f"{section}.{key}")
    assert len(asked) == 7
    for path in asked:
        assert value_at(facts, path) is not None, path
    assert rest["resource"].endswith("/api/status")


def test_the_guide_names_every_event_metric_and_variable(tmp_path: Path) -> None:
    for kind in EventKind:
        assert f"`{kind}`" in TEXT, kind
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    with filled_store.store() as store:
        store.event_queue.configure({"phone": EVERYTHING}, page=False)
    names = set(re.findall(r"^# TYPE (\w+)", prometheus(filled_store.state, None, None, NOW).text, re.MULTILINE))
    rules = " ".join(rule["expr"] for rule in yaml.safe_load(blocks("yml")[-1])["groups"][0]["rules"])
    assert set(re.findall(r"lalald_\w+", rules)) <= names | {"lalald_needs_attention"}
    missing = {name for name in names if not re.search(rf"`{name}[`{{]", TEXT)}
    assert missing == set()
    variables = {name for kind in EventKind for name in event_variables(sample_event(kind, 0.0))}
    assert {name for name in variables if name not in TEXT} == set()


needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")


@needs_systemd_analyze
def test_systemd_accepts_the_unit_that_reports_a_failure(tmp_path: Path) -> None:
    for name in ("lalald.service", "lalald-failed.service"):
        text = re.sub(
            r"^ExecStart=\S+", "ExecStart=/bin/true", (ROOT / "systemd" / name).read_text(), flags=re.MULTILINE
        )
        (tmp_path / name).write_text(text)
    (tmp_path / "lalald.service.d").mkdir()
    shutil.copy(ROOT / "systemd/failed.conf", tmp_path / "lalald.service.d/failed.conf")
    verdict = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "lalald.service"), str(tmp_path / "lalald-failed.service")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert (verdict.returncode, verdict.stdout) == (0, "")


@pytest.mark.parametrize(
    ("result", "starts"), [("success", False), ("signal", True), ("watchdog", True), ("exit-code", True)]
)
def test_the_drop_in_starts_that_unit_after_a_failure_and_only_then(tmp_path: Path, result: str, starts: bool) -> None:
    (line,) = re.findall(r"^ExecStopPost=\+-(.*)$", (ROOT / "systemd/failed.conf").read_text(), re.MULTILINE)
    control = tmp_path / "systemctl"
    control.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n')
    control.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SERVICE_RESULT": result}
    subprocess.run(["sh", "-c", line], env=environ, timeout=20, check=True)
    assert (tmp_path / "called").exists() is starts
    if starts:
        until(
            lambda: (tmp_path / "called").read_text() == "start --no-block lalald-failed.service\n",
            "the unit is started",
        )
