"""A state folder is used either with the live service or with a sandbox."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lalald.daemon.sandbox_guard import open_store
from lalald.errors import StoreRefusedError
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.daemon.test_daemon import reload
from tests.store.test_store import taken
from tests.support.running import write_wav

TRUE, SANDBOX = "https://www.lalal.ai", "http://127.0.0.1:8900"


@pytest.mark.parametrize(("first", "second"), [(TRUE, SANDBOX), (SANDBOX, TRUE)])
def test_a_state_folder_with_jobs_is_not_used_with_the_other_kind_of_service(
    tmp_path: Path, first: str, second: str
) -> None:
    with closing(open_store(tmp_path, first)):
        pass
    with closing(open_store(tmp_path, second)) as store:  # no job yet
        assert store.history.newest_id() == 0
    with closing(open_store(tmp_path, first)) as store:
        taken(store)
    with pytest.raises(StoreRefusedError, match=f"was used with {first}; it cannot be used with {second} too"):
        open_store(tmp_path, second)
    with closing(open_store(tmp_path, first)):
        pass


def test_a_sandbox_may_have_another_port_and_the_service_another_name(tmp_path: Path) -> None:
    for folder, urls in (("a", (SANDBOX, "http://[::1]:8901")), ("b", (TRUE, "https://api.lalal.ai"))):
        for url in urls:
            with closing(open_store(tmp_path / folder, url)) as store:
                if not store.history.newest_id():
                    taken(store)


def test_the_daemon_refuses_a_sandbox_state_folder_with_the_live_service(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    write_wav(home.inbox / "song.wav")
    assert home.command("run", "--once").returncode == 0
    answer = home.command("run", "--once", environ={"LALALD_API_URL": TRUE})
    assert answer.returncode == 2
    assert f"was used with {sandbox.url}; it cannot be used with {TRUE} too. No change was made." in answer.stderr


def test_a_reload_to_the_other_kind_of_service_is_rejected(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.start()
    home.settings["api_url"] = TRUE
    home.write_config()
    said = reload(home, "config.rejected")
    assert f"the state folder is used with {sandbox.url}; it cannot be used with {TRUE} too." in said["reason"]
    assert "state_dir" in said["reason"]
    home.settings["inboxes"][0]["settle"] = "1s"
    home.settings["api_url"] = sandbox.url
    home.write_config()
    reload(home, "config.reloaded")
