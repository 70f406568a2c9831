"""Reloads, commands while the daemon runs, and `--once`."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import certifi
import pytest
import structlog
from structlog.testing import capture_logs

from lalald.daemon import startup
from lalald.errors import StoreError
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from lalald.store.database import FILE_NAME, connect
from lalald.store.schema.migrations import VERSION, bring_to
from tests.conftest import MakeHome
from tests.support.running import Home, tree, until, write_wav

CLEAN: dict[str, Any] = {"name": "clean", "match": ["clean/"], "mode": "voice_clean"}


def reload(home: Home, event: str) -> dict[str, Any]:
    """Send SIGHUP. Return the log event of the reload."""
    said = len(home.logged(event))
    assert home.process is not None
    home.process.send_signal(signal.SIGHUP)
    until(lambda: len(home.logged(event)) > said, f"{event} was logged")
    return home.logged(event)[-1]


def test_a_reload_matches_skipped_files_again(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN])
    home.start()
    write_wav(home.inbox / "music" / "song.wav")
    until(lambda: home.logged("file.skipped"), "the file was left alone, and it was said")

    home.settings["inboxes"][0]["rules"].append({"name": "rest", "mode": "demuser"})
    home.write_config()
    reload(home, "config.reloaded")

    until(lambda: tree(home.inbox) == ["done/music/song.wav"], "the new rule processes it")
    assert tree(home.outbox) == ["music/song/music.wav", "music/song/no_music.wav"]


def test_a_start_with_other_rules_matches_skipped_files_again(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN])
    home.start()
    write_wav(home.inbox / "song.wav")
    until(lambda: home.logged("file.skipped"), "the file was left alone")
    assert home.stop() == 0

    home.settings["inboxes"][0]["rules"].append({"name": "rest", "mode": "demuser"})
    home.write_config()
    assert home.command("run", "--once").returncode == 0

    assert tree(home.inbox) == ["done/song.wav"]


def test_a_reload_with_an_error_keeps_the_previous_configuration_and_reports_it(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url, [CLEAN])
    home.start()
    good = home.config.read_text()
    home.config.write_text(good.replace("voice_clean", "voice_cleen"))

    said = reload(home, "config.rejected")

    assert 'Did you mean "voice_clean"?' in said["reason"]
    write_wav(home.inbox / "clean" / "ep1.wav")
    until(lambda: tree(home.inbox) == ["done/clean/ep1.wav"], "the old rule stays in use")


def test_a_reload_changes_what_is_logged_and_how(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.start()
    home.settings["log"] = {"level": "error", "format": "console"}
    home.write_config()
    assert home.process is not None
    before = home.log.stat().st_size
    home.process.send_signal(signal.SIGHUP)
    until(
        lambda: sandbox.state()["counts"].get("minutes", 0) >= 2, "the reload has ended: it requests the minutes again"
    )
    write_wav(home.inbox / "a.wav")
    until(lambda: [job["state"] for job in home.jobs()] == ["done"], "it is processed without log lines")
    sandbox.faults("upload:400")
    write_wav(home.inbox / "b.wav", pitch=330.0)
    until(lambda: sorted(job["state"] for job in home.jobs()) == ["done", "failed"], "what fails is said")
    assert home.stop() == 0
    said = home.log.read_text()[before:].splitlines()
    assert ["job.failed" in line and not line.startswith("{") for line in said] == [True], said


def test_at_debug_every_request_is_logged_with_its_result(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, log={"level": "debug"})
    home.start()
    sandbox.faults("upload:reset_during", "upload:503")
    write_wav(home.inbox / "a.wav")
    until(lambda: tree(home.inbox) == ["done/a.wav"], "it is processed")
    assert home.stop() == 0

    asked = home.logged("api.called")
    assert all(line["level"] == "debug" and line["seconds"] >= 0.0 for line in asked)
    broken, refused, good = (line for line in asked if line["operation"] == "upload")
    assert "status" not in broken
    assert "connection" in broken["reason"]
    assert (refused["status"], good["status"]) == (503, 200)
    for operation in ("upload", "split/stem_separator", "check", "delete", "limits/minutes_left"):
        last = [line for line in asked if line["operation"] == operation][-1]
        assert (last["status"], len(last["request_id"]) > 8) == (200, True)
    fetched = [line for line in asked if line["operation"] == "download"]
    assert [line["size"] > good["size"] and "error" not in line for line in fetched] == [True, True]
    assert home.logged("inbox.scanned")[0]["files"] == 0


def test_reloads_leave_nothing_in_memory(make_home: MakeHome) -> None:
    home = make_home("https://127.0.0.1:9")  # no server there, but the certificate authorities are loaded
    home.variables["SSL_CERT_FILE"] = certifi.where()
    process = home.start()

    def resident_bytes() -> int:
        return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(2):
        reload(home, "config.reloaded")
    before = resident_bytes()
    for _ in range(8):
        reload(home, "config.reloaded")
    assert resident_bytes() < before + (3 << 20)  # one set of authorities takes 0.8 MB


def test_a_reload_starts_a_new_inbox_and_stops_a_removed_one(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN])
    home.start()
    second = home.root / "second"
    second.mkdir()
    home.settings["inboxes"][0]["path"] = str(second)
    home.write_config()
    reload(home, "config.reloaded")

    write_wav(home.inbox / "clean" / "old.wav")
    write_wav(second / "clean" / "new.wav")

    until(lambda: tree(second) == ["done/clean/new.wav"], "the new inbox is watched")
    assert tree(home.inbox) == ["clean/old.wav"]


def test_files_in_former_outboxes_and_done_folders_are_not_processed(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, inbox={"outbox": "results"})
    (home.inbox / "results").mkdir()
    home.start()
    write_wav(home.inbox / "sub" / "song.wav")
    until(lambda: "done/sub/song.wav" in tree(home.inbox), "it was processed")
    (home.inbox / "stems").mkdir()
    home.settings["inboxes"][0] |= {"outbox": "stems", "done_dir": "finished"}
    home.write_config()
    reload(home, "config.reloaded")
    write_wav(home.inbox / "next.wav", pitch=330.0)
    until(lambda: "finished/next.wav" in tree(home.inbox), "the later file was processed")

    assert [job["path"] for job in home.jobs()] == ["sub/song.wav", "next.wav"]
    assert len(sandbox.state()["charges"]) == 2
    for put in ("done/sub/song.wav", "results/sub/song/vocals.wav"):
        output = home.command("explain", str(home.inbox / put)).stdout
        assert "before the configuration was changed" in output, output
    assert json.loads(home.command("plan", "--json").stdout)["files"] == 0


def test_a_running_job_keeps_the_settings_it_was_matched_with(make_home: MakeHome) -> None:
    with Sandbox(Options(processing_seconds=1.5)) as sandbox:
        home = make_home(sandbox.url, [CLEAN])
        home.start()
        write_wav(home.inbox / "clean" / "ep1.wav")
        until(lambda: home.logged("job.started"), "the task was started")
        home.settings["inboxes"][0]["rules"][0]["labels"] = {"voice": "Other"}
        home.write_config()
        reload(home, "config.reloaded")
        until(lambda: tree(home.inbox) == ["done/clean/ep1.wav"], "it was processed completely")
    assert tree(home.outbox) == ["clean/ep1/no_voice.wav", "clean/ep1/voice.wav"]


def test_once_exits_with_1_if_a_job_is_held(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN], minutes={"per_file": 0.01})
    write_wav(home.inbox / "clean" / "ep1.wav")
    answer = home.command("run", "--once")
    assert answer.returncode == 1
    (job,) = home.jobs()
    assert (job["state"], job["hold"], job["stage"]) == ("held", "minutes", "upload")
    assert sandbox.state()["sources"] == []


def test_once_exits_with_1_if_a_job_fails_in_this_run(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    sandbox.faults("upload:422")
    write_wav(home.inbox / "ep1.wav")
    assert home.command("run", "--once").returncode == 1
    assert [job["state"] for job in home.jobs()] == ["failed"]
    assert home.command("run", "--once").returncode == 0, "it failed the last time"


def test_once_processes_files_from_before_the_first_scan(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN])
    for number in range(25):
        write_wav(home.inbox / "clean" / f"{number}.wav", seconds=0.1, pitch=200 + number)
    assert home.command("run", "--once").returncode == 0
    assert len(tree(home.inbox / "done")) == 25


def test_existing_files_are_held_until_they_are_released(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN])
    for number in range(25):
        write_wav(home.inbox / "clean" / f"{number}.wav", seconds=0.1, pitch=200 + number)
    home.start()
    jobs = home.rest()
    assert {job["hold"] for job in jobs} == {"first_scan"}
    assert home.command("release", "--all").returncode == 0
    until(lambda: len(tree(home.inbox / "done")) == 25, "all of them were processed")
    assert len(sandbox.state()["charges"]) == 25


def test_health_and_status_follow_the_daemon(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url, [CLEAN])
    assert home.command("health").returncode == 3
    home.start()
    assert home.command("health").returncode == 0
    assert home.command("status").returncode == 0
    home.stop()
    assert home.command("health").returncode == 3
    assert home.command("status").returncode == 3


@pytest.mark.parametrize("once", [False, True], ids=["daemon", "once"])
def test_requests_made_while_no_daemon_runs_are_handled_at_the_next_start(
    once: bool, sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    for name in ("song.wav", "gone.wav"):
        write_wav(home.inbox / name, pitch=len(name) * 50)
    assert home.command("run", "--once").returncode == 0
    assert "it will do this at its next start" in home.command("redo", "1", "2").stdout
    (gone,) = (job["id"] for job in home.jobs() if job["path"] == "gone.wav")
    (home.inbox / "done" / "gone.wav").unlink()
    if once:
        assert home.command("run", "--once").returncode == 0
    else:
        home.start()
        until(lambda: len(home.jobs()) == 3, "the file is processed again")
        (refused,) = home.logged("redo.refused")
        assert (refused["job"], refused["reason"]) == (gone, "its file is not there any more")
    assert [job["state"] for job in home.rest()] == ["done", "done", "done"]


def test_minutes_that_were_bought_are_known_to_the_daemon_once_a_person_asks(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    home.start()

    def left() -> float | None:
        known: float | None = json.loads(home.command("status", "--json").stdout)["minutes"]["left"]
        return known

    before = until(left, "the minutes left are known")
    sandbox.set_minutes(before + 50.0)
    assert json.loads(home.command("minutes", "--json").stdout) == {"minutes_left": before + 50.0}
    until(lambda: left() == before + 50.0, "status says what minutes said")
    asked = sandbox.state()["counts"]["minutes"]
    home.command("minutes")
    assert sandbox.state()["counts"]["minutes"] == asked + 1, "what the daemon knows is not asked again"


def test_held_unpaid_jobs_use_the_rules_of_a_reload(sandbox: Sandbox, make_home: MakeHome) -> None:
    """An old folder is priced, the rule is found too dear and changed, and what is released costs what the new one does."""
    dear = {"name": "dear", "mode": "multistem", "presets": {"stem_list": ["vocals", "drum", "bass"]}}
    home = make_home(sandbox.url, [dear], minutes={"per_file": 0.15})
    for number in range(21):
        write_wav(home.inbox / f"{number}.wav", seconds=0.1, pitch=200 + number)
    home.start()
    write_wav(home.inbox / "long.wav", seconds=6.0)
    until(lambda: [job["hold"] for job in home.jobs()].count("minutes") == 1, "one does not fit")
    home.settings["inboxes"][0]["rules"] = [CLEAN, {"name": "cheap", "mode": "demuser"}]
    home.write_config()
    reload(home, "config.reloaded")
    until(lambda: "done/long.wav" in tree(home.inbox), "what did not fit does now")
    assert json.loads(home.command("explain", "--json", str(home.inbox / "1.wav")).stdout)[0]["rule"] == "cheap"
    assert home.command("release", "--all").returncode == 0
    until(lambda: len(tree(home.inbox / "done")) == 22, "all of them were processed")
    assert {charge["mode"] for charge in sandbox.state()["charges"]} == {"demuser"}


@pytest.mark.parametrize("verb", ["retry", "redo"])
def test_a_retry_of_an_unpaid_job_and_a_redo_use_the_current_rules(
    sandbox: Sandbox, make_home: MakeHome, verb: str
) -> None:
    several: dict[str, Any] = {"name": "several", "tasks": [{"mode": "demuser"}, {"mode": "voice_clean"}]}
    home = make_home(sandbox.url, [several])
    if verb == "retry":
        sandbox.faults("upload:422*1")
    home.start()
    write_wav(home.inbox / "ep1.wav", seconds=60.0)
    until(lambda: home.jobs()[0]["state"] == ("failed" if verb == "retry" else "done"), "it ended")
    home.settings["inboxes"][0]["rules"] = [{"name": "one", "mode": "stem_separator", "presets": {"stem": "drum"}}]
    home.write_config()
    reload(home, "config.reloaded")
    assert "about 1.0 min will be charged" in home.command(verb, "1").stdout
    until(lambda: home.jobs()[-1]["state"] == "done", "the new rule processed it")
    job = home.jobs()[-1]
    assert (job["rule"], [task["mode"] for task in job["tasks"]]) == ("one", ["stem_separator"])
    assert sandbox.state()["charges"][-1]["mode"] == "stem_separator"


def test_a_reload_signal_before_the_daemon_is_ready_does_not_end_it(make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url)
    text = home.config.read_text()
    home.config.unlink()
    os.mkfifo(home.config)
    process = home.start(wait=False)
    with home.config.open("w") as pipe:  # returns once the daemon reads it
        process.send_signal(signal.SIGHUP)
        pipe.write(text)
    until(lambda: home.logged("daemon.ready") or process.poll() is not None, "it starts")
    assert process.poll() is None
    assert home.stop() == 0


def test_a_migration_is_logged_before_it_begins_and_commands_say_what_to_wait_for(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        bring_to(old, 0, VERSION - 1)
    with pytest.raises(StoreError, match=f"version {VERSION - 1}") as raised:
        connect(tmp_path, read_only=True)
    assert "store.migrated" in raised.value.hint
    seen_by_then: list[str] = []

    def opening(state_dir: Path) -> Store:
        seen_by_then.extend(entry["event"] for entry in logged)
        return Store.open(state_dir)

    with capture_logs() as logged:
        for _ in range(2):
            startup.open_store(opening, tmp_path, structlog.get_logger()).close()
    assert seen_by_then == ["store.migrating", "store.migrating", "store.migrated"]
    assert (logged[1]["version"], logged[1]["to"]) == (VERSION - 1, VERSION)
    assert Path(logged[1]["copy"]).is_file()
