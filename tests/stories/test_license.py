"""A missing or refused license key is seen from the first second, and a new one is picked up without a reload."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lalald.config.license_key import FoundKey, LicenseKey
from lalald.errors import LicenseRefusedError
from lalald.jobs.states import Hold, Stage, State
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.private_mounts import dead_mount, in_own_mounts
from tests.support.running import Home, tree, until, write_wav
from tests.support.worker_driver import WorkerDriver, run

RESULTS = ["ep1/no_vocals.wav", "ep1/vocals.wav"]
NO_VARIABLE = {"LALALD_LICENSE_KEY": ""}


def status(home: Home) -> tuple[int, dict[str, Any]]:
    done = home.command("status", "--json")
    return done.returncode, json.loads(done.stdout)


def codes(facts: dict[str, Any]) -> list[str]:
    return [item["code"] for item in facts["needs_attention"]]


def home_with_key(make_home: MakeHome, url: str, content: str | None, name: str = "key") -> tuple[Home, Path]:
    home = make_home(url)
    key = home.root / name
    home.settings["license_key_file"] = str(key)
    home.write_config()
    if content is not None:
        key.write_text(content)
    return home, key


def test_a_missing_key_is_an_error_from_the_first_second_and_a_new_file_is_read_without_a_reload(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home, key = home_with_key(make_home, sandbox.url, None)
    home.start(environ=NO_VARIABLE)
    code, facts = status(home)
    assert (code, codes(facts)) == (1, ["license_missing"])
    assert facts["license"]["trouble"] == "missing"
    assert f"there is no such file in {key.parent}" in facts["license"]["reason"]
    assert facts["license"]["since"] is not None
    printable = home.command("status")
    assert printable.returncode == 1
    assert "! No job can continue without an accepted license key" in printable.stdout
    assert str(key.parent) in printable.stdout.replace("\n", "")
    assert len(home.logged("license.missing")) == 1
    assert home.logged("license.refused") == []
    assert sandbox.state()["counts"].get("minutes", 0) == 0, "nothing is asked without a key"

    write_wav(home.inbox / "ep1.wav")
    (job,) = home.rest()
    assert (job["state"], job["hold"]) == ("held", "license")
    code, facts = status(home)
    assert codes(facts) == ["license_missing"], "one cause is one item"
    key.write_text("a-key\n")
    until(lambda: tree(home.outbox) == RESULTS, "the new key is used")
    assert status(home)[0] == 0
    assert [len(home.logged(f"license.{word}")) for word in ("missing", "accepted")] == [1, 1]
    assert home.logged("config.reloaded") == []


@pytest.mark.parametrize("way", ["renamed over", "written in place"])
def test_a_refused_key_is_read_again_and_replaced(sandbox: Sandbox, make_home: MakeHome, way: str) -> None:
    sandbox.set_keys("the-right-key")
    home, key = home_with_key(make_home, sandbox.url, "the-wrong-key")
    home.start(environ=NO_VARIABLE)
    until(lambda: home.logged("license.refused"), "the key is refused")
    code, facts = status(home)
    assert (code, codes(facts), facts["license"]["trouble"]) == (1, ["license_refused"], "refused")
    if way == "renamed over":
        (home.root / "new").write_text("'the-right-key'\n")
        (home.root / "new").rename(key)
    else:
        key.write_text("\ufeffthe-right-key\r\n")
    until(lambda: home.logged("license.accepted"), "the new key is read, though no job waits for it")
    code, facts = status(home)
    assert (code, facts["license"]["trouble"]) == (0, None)
    write_wav(home.inbox / "ep1.wav")
    until(lambda: tree(home.outbox) == RESULTS, "the new key is used")
    assert [len(home.logged(f"license.{word}")) for word in ("missing", "refused", "accepted")] == [0, 1, 1]


def test_a_key_named_by_the_environment_and_one_of_systemd_are_read_again(
    sandbox: Sandbox, make_home: MakeHome, tmp_path: Path
) -> None:
    for number, variable in enumerate(("LALALD_LICENSE_KEY_FILE", "CREDENTIALS_DIRECTORY")):
        home = make_home(sandbox.url)
        folder = tmp_path / str(number)
        folder.mkdir()
        file = folder / "license-key"
        file.write_text("no-key\n")
        named = folder if variable == "CREDENTIALS_DIRECTORY" else file
        home.start(environ={**NO_VARIABLE, variable: str(named)})
        assert "holds a placeholder" in status(home)[1]["license"]["reason"]
        file.write_text("a-key")
        until(lambda: home.logged("license.accepted"), "the new key is used")  # noqa: B023
        assert home.stop() == 0


def test_running_transfers_continue_when_the_key_changes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.faults("upload:slow,bytes_per_second=10000")
            await driver.drop("slow.wav", seconds=2.0)
            await driver.until(lambda: driver.counts().get("upload"), "the upload is under way")
            driver.sandbox.set_keys("another-key")
            await driver.worker.license.is_refused()
            assert driver.worker.license.problem is not None
            driver.key = "another-key"
            await driver.until(lambda: driver.journal.of("license.accepted"), "the other key is accepted")
            await driver.until(lambda: driver.journal.of("job.uploaded"), "the upload came to its end")
            assert driver.counts()["upload"] == 1, "it was not begun again"

    run(scenario())


def test_a_refusal_of_the_former_key_does_not_count_for_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_keys("another-key")
            with pytest.raises(LicenseRefusedError) as refused:
                await driver.api.minutes_left()
            driver.api.use_key(FoundKey(LicenseKey("another-key")))
            check = driver.worker.license
            assert await check.is_refused(refused.value) is None, "the job is tried again, and does not fail"
            assert await check.is_refused() is False

    run(scenario())


def test_the_key_file_on_a_dead_share_delays_neither_the_start_nor_the_other_work(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path / "home", sandbox.url)
            share = tmp_path / "share"
            share.mkdir()
            home.settings["license_key_file"] = str(share / "key")
            home.write_config()
            with dead_mount(share):
                home.start(environ=NO_VARIABLE)
                code, facts = status(home)
                assert (code, codes(facts)) == (1, ["license_missing"])
                assert str(share) in facts["license"]["reason"]
                assert home.command("health").returncode == 0
                write_wav(home.inbox / "ep1.wav")
                assert home.rest()[0]["hold"] == "license"
                assert home.stop() == 0

    in_own_mounts(story)


def test_a_key_that_appears_during_an_outage_no_longer_counts_as_missing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with WorkerDriver(tmp_path) as driver:
            driver.sandbox.set_keys("another-key")
            await driver.worker.license.is_refused()
            (job_id,) = await driver.drop("ep1.wav")
            await driver.until_job("it is held", job_id, state=State.HELD, hold=Hold.LICENSE, stage=Stage.UPLOAD)
            driver.sandbox.faults("minutes:503*0")
            driver.key = "another-key"
            await driver.until(lambda: driver.worker.license.unanswered_reason, "the service does not answer")
            assert driver.worker.license.problem is None, "the other key is neither missing nor refused"
            driver.sandbox.faults()
            await driver.until_job("it is processed", job_id, state=State.DONE)
            assert len(driver.journal.of("license.accepted")) == 1

    run(scenario())


def test_the_state_of_the_key_is_forgotten_at_the_start(sandbox: Sandbox, make_home: MakeHome) -> None:
    home, key = home_with_key(make_home, sandbox.url, None)
    home.start(environ=NO_VARIABLE)
    assert home.stop() == 0
    code, facts = status(home)
    assert (code, codes(facts)[0]) == (3, "daemon_not_running")
    key.write_text("a-key")
    home.start(environ=NO_VARIABLE)
    assert status(home)[0] == 0
    with closing(sqlite3.connect(home.state / "lalald.sqlite3")) as database:
        assert database.execute("SELECT json FROM daemon_state WHERE name = 'license'").fetchall() in ([], [("null",)])
