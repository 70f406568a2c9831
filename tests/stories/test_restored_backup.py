"""A backup that was restored does not know what was paid for since: nothing of that is charged again unless a person says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.running import Home, tree, until, write_wav
from tests.support.sandbox_client import Caller


def charges(sandbox: Sandbox) -> int:
    """How many tasks the service has charged."""
    return len(Caller(sandbox).request("GET", "/sandbox/state").json()["charges"])


def restore(home: Home, copy: Path) -> None:
    """As the guide says, with the daemon stopped."""
    for name in ("lalald.sqlite3-wal", "lalald.sqlite3-shm"):
        (home.state / name).unlink(missing_ok=True)
    shutil.copyfile(copy, home.state / "lalald.sqlite3")


def test_what_was_paid_since_is_held_with_the_reason(tmp_path: Path, make_home: MakeHome, sandbox: Sandbox) -> None:
    home = make_home(sandbox.url, inbox={"on_success": "keep", "existing": "take"})
    write_wav(home.inbox / "one.wav")
    home.start()
    home.rest()
    copy = tmp_path / "copy.sqlite3"
    assert home.command("backup", str(copy)).returncode == 0
    write_wav(home.inbox / "two.wav", pitch=330.0)
    until(lambda: len(home.jobs()) == 2, "the second file is known")
    home.rest()
    home.kill()
    before = charges(sandbox)
    restore(home, copy)
    home.start()
    jobs = {job["path"]: job for job in home.rest()}
    assert (jobs["one.wav"]["state"], jobs["two.wav"]["state"]) == ("done", "held")
    assert jobs["two.wav"]["hold"] == "first_scan"
    assert "restored from a copy" in jobs["two.wav"]["hold_reason"]
    assert [entry["files"] for entry in home.logged("inbox.first_scan_done")][-1] == 1
    assert home.logged("store.restored_copy")
    home.stop()
    home.start()
    write_wav(home.inbox / "three.wav", pitch=440.0)
    until(
        lambda: {job["path"]: job["state"] for job in home.jobs()}.get("three.wav") == "done", "a new file is processed"
    )
    assert {job["path"]: job["state"] for job in home.jobs()}["two.wav"] == "held"
    assert home.command("release", "--all", "--hold", "first_scan").returncode == 0
    until(lambda: all(job["state"] == "done" for job in home.jobs()), "the released one is processed")
    home.stop()
    assert charges(sandbox) > before
    assert len(home.logged("store.restored_copy")) == 1


def test_without_the_state_folder_what_may_be_paid_for_is_held_with_the_reason(
    make_home: MakeHome, sandbox: Sandbox
) -> None:
    """In a container, `/config` is not mounted: the start finds a new, empty state folder."""
    home = make_home(sandbox.url, inbox={"on_success": "keep"})
    write_wav(home.inbox / "one.wav")
    home.start()
    assert [job["state"] for job in home.rest()] == ["done"]
    home.kill()
    before = charges(sandbox)
    home.state.rename(home.root / "not-mounted")
    (plan,) = json.loads(home.command("plan", "--json").stdout)["first_scan_holds"].values()
    home.start()
    write_wav(home.inbox / "two.wav", pitch=330.0)
    until(lambda: [job["state"] for job in home.jobs()] == ["held", "done"], "the new file is processed")
    (one, _) = home.jobs()
    assert (one["hold"], one["hold_reason"]) == ("first_scan", plan)
    assert "another database used this folder before" in plan
    (warning,) = home.logged("inbox.watched_before")
    assert (warning["inbox"], warning["state_dir"]) == (str(home.inbox), str(home.state))
    assert charges(sandbox) == before + 1
    home.stop()


@pytest.mark.parametrize("hold", ["waiting", "minutes"])
def test_what_waited_to_be_started_when_the_copy_was_made_is_held(
    tmp_path: Path, make_home: MakeHome, sandbox: Sandbox, hold: str
) -> None:
    """It may have been started, and paid for, after the copy was made."""
    limits = {"minutes": {"per_file": 0.001}}
    home = make_home(sandbox.url, inbox={"on_success": "keep"}, **limits)
    write_wav(home.inbox / "one.wav")
    home.start()
    home.rest()
    assert [job["hold"] for job in home.jobs()] == ["minutes"]
    home.stop()
    if hold == "waiting":  # it is released, and the daemon stops before it goes on
        assert home.command("release", "1").returncode == 0
    copy = tmp_path / "copy.sqlite3"
    assert home.command("backup", str(copy)).returncode == 0
    home.settings.pop("minutes")
    home.write_config()
    home.start()
    until(lambda: [job["state"] for job in home.jobs()] == ["done"], "it is paid for")
    home.kill()
    before = charges(sandbox)
    restore(home, copy)
    home.start()
    until(lambda: [job["hold"] for job in home.jobs()] == ["first_scan"], "it is held")
    home.stop()
    assert charges(sandbox) == before
    (job,) = home.jobs()
    assert "restored from a copy" in job["hold_reason"]


def test_tasks_that_ran_are_delivered_first(tmp_path: Path, make_home: MakeHome) -> None:
    """Their results expire; what was not started yet waits."""
    rules = [{"name": "both", "tasks": [
        {"name": "lead", "mode": "stem_separator", "presets": {"stem": "vocals"}},
        {"name": "band", "mode": "multistem", "presets": {"stem_list": ["drum"]}},
    ], "output": "{name}/{task}/{label}.{ext}"}]  # fmt: skip
    with Sandbox(Options(processing_seconds=3.0)) as sandbox:
        home = make_home(sandbox.url, rules=rules)
        write_wav(home.inbox / "one.wav")
        home.start()
        until(lambda: any(job["stage"] == "check" for job in home.jobs()), "the tasks run")
        copy = tmp_path / "copy.sqlite3"
        assert home.command("backup", str(copy)).returncode == 0
        home.kill()
        restore(home, copy)
        home.start()
        until(lambda: [job["state"] for job in home.jobs()] == ["done"], "both are delivered")
        home.stop()
        assert "one/lead/vocals.wav" in tree(home.outbox)
        assert len(json.loads(home.command("history", "--json").stdout)["charges"]) == 2
