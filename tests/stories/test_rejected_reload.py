"""A rejected reload shows in exit code, text and JSON until a reload succeeds."""

from __future__ import annotations

import json
import signal
from typing import Any

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.running import Home, until


def status(home: Home) -> tuple[int, dict[str, Any]]:
    done = home.command("status", "--json")
    return done.returncode, json.loads(done.stdout)


def test_a_rejected_reload_is_seen_until_the_next_good_one(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    process = home.start()
    good = home.config.read_text()
    assert status(home)[0] == 0
    home.config.write_text(good.replace("stem_separator", "stem_seperator") + "nonsense: 1\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: home.logged("config.rejected"), "the reload is rejected")
    until(lambda: status(home)[1]["config_rejected"], "it is noted")
    code, facts = status(home)
    assert code == 1
    assert [item["code"] for item in facts["needs_attention"]] == ["config_rejected"]
    said = " ".join(facts["config_rejected"]["errors"])
    assert "nonsense" in said
    assert 'Did you mean "stem_separator"?' in said
    assert facts["config_rejected"]["at"] is not None
    text = home.command("status")
    assert text.returncode == 1
    assert f"The last reload was rejected: {home.config}: 2 errors: line " in text.stdout

    home.config.write_text(good)
    assert status(home)[0] == 1, "a corrected file counts once it is in use"
    process.send_signal(signal.SIGHUP)
    until(lambda: home.logged("config.reloaded"), "the reload succeeds")
    until(lambda: status(home)[0] == 0, "nothing is left to do")
    assert status(home)[1]["config_rejected"] is None


def test_a_new_start_has_no_rejected_reload(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    process = home.start()
    good = home.config.read_text()
    home.config.write_text(good + "nonsense: 1\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: home.logged("config.rejected"), "the reload is rejected")
    assert home.stop() == 0
    assert status(home)[0] == 3
    home.config.write_text(good)
    home.start()
    assert status(home)[0] == 0


def test_a_file_that_could_not_be_started_with_needs_attention_before_any_reload(
    sandbox: Sandbox, make_home: MakeHome
) -> None:
    home = make_home(sandbox.url)
    home.start()
    home.config.write_text(home.config.read_text() + "nonsense: 1\n")
    code, facts = status(home)
    assert (code, [item["code"] for item in facts["needs_attention"]]) == (1, ["config_error"])
