"""The real program as a user without rights: it reports what it may not do, and does it once it may."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.another_user import NOBODY, give
from tests.support.running import Home, files_below, tree, until, write_wav

NOBODY_IN_WORDS = f"{NOBODY}:{NOBODY}"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    """Where `make_home` makes its homes."""
    return open_folder


def take_from(*paths: Path) -> None:
    for path in paths:
        os.chown(path, 0, 0)


def drop(folder: Path, name: str) -> bytes:
    """Owned by lalald's user: for a file of another user no lease shows that it is complete, which takes ten seconds more."""
    made = folder.parent / name
    content = write_wav(made, pitch=200 + ord(name[0]))
    give(made)
    made.rename(folder / name)
    return content


def inboxes_of(home: Home, *names: str) -> dict[str, dict[str, Path]]:
    """More inboxes, each with folders of its own: its `inbox`, `outbox` and `failed`."""
    folders = {name: {what: home.root / name / what for what in ("inbox", "outbox", "failed")} for name in names}
    for place in folders.values():
        for folder in place.values():
            folder.mkdir(parents=True)
            give(folder)
        config = {"path": place["inbox"], "outbox": place["outbox"], "failed_dir": place["failed"]}
        home.settings["inboxes"].append(
            {**home.settings["inboxes"][0], **{key: str(path) for key, path in config.items()}}
        )
    del home.settings["inboxes"][0]
    home.write_config()
    return folders


def by_name(home: Home) -> dict[str, dict[str, Any]]:
    return {Path(job["path"]).stem: job for job in home.jobs()}


def wait_until_delivered(name: str, place: Mapping[str, Path], content: bytes) -> None:
    until(lambda: tree(place["inbox"]) == [f"done/{name}.wav"], f"{name} has resumed and is done")
    assert (place["inbox"] / "done" / f"{name}.wav").read_bytes() == content
    assert tree(place["outbox"]) == [f"{name}/no_vocals.wav", f"{name}/vocals.wav"]


def test_missing_write_rights_hold_at_every_stage_and_work_resumes(
    sandbox: Sandbox, make_home: MakeHome, of_unprivileged_user: Callable[[Home], Home]
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url))
    at = inboxes_of(home, "split", "download", "archive", "failure", "upload", "leave")
    sandbox.faults("upload:503*0")
    home.start()
    contents = {name: drop(place["inbox"], f"{name}.wav") for name, place in at.items()}
    until(lambda: len(home.logged("job.created")) == len(at), "all are registered")

    take_from(at["split"]["outbox"], at["leave"]["inbox"], at["failure"]["failed"])
    unreadable = at["upload"]["inbox"] / "upload.wav"
    unreadable.chmod(0)
    sandbox.faults("download:503*0", "upload:422*0,match=failure.wav")
    downloads = ("download", "archive")
    until(lambda: {by_name(home)[name]["stage"] for name in downloads} == {"download"}, "they come to their downloads")
    until(lambda: by_name(home)["failure"]["state"] == "failed", "the service refuses it")
    take_from(at["download"]["outbox"], at["archive"]["inbox"])
    sandbox.faults()

    def rested() -> dict[str, dict[str, Any]] | None:
        found = by_name(home)
        return found if all(job["state"] in ("held", "failed") for job in found.values()) else None

    jobs = until(rested, "each has come to what it may not do")
    refused = {"split": "outbox", "download": "outbox", "archive": "inbox", "leave": "inbox"}
    for name, what in refused.items():
        job = jobs[name]
        stage = "split" if name == "leave" else name
        assert (job["state"], job["hold"], job["stage"]) == ("held", "permission", stage)
        assert str(at[name][what]) in job["hold_reason"]
        assert NOBODY_IN_WORDS in job["hold_reason"]
    assert "cannot be read by uid 65534. Nothing was spent." in jobs["upload"]["error"]
    until(lambda: tree(at["upload"]["failed"]) == ["upload.wav", "upload.wav.error.txt"], "it lies beside its reason")
    assert "failure.wav" in tree(at["failure"]["inbox"])
    assert NOBODY_IN_WORDS in until(lambda: by_name(home)["failure"]["warning"], "it says why it is still there")
    assert len(sandbox.state()["charges"]) == 2, "what cannot be delivered is not paid for"

    give(*(at[name][what] for name, what in refused.items()), at["failure"]["failed"])
    moved = at["upload"]["failed"] / "upload.wav"
    moved.chmod(0o644)
    moved.rename(unreadable)
    for name in (*refused, "upload"):
        wait_until_delivered(name, at[name], contents[name])
    until(lambda: tree(at["failure"]["failed"]) == ["failure.wav", "failure.wav.error.txt"], "it was filed")
    assert tree(at["failure"]["inbox"]) == []
    assert len(sandbox.state()["charges"]) == len(refused) + 1, "each once"
    for event, times in (("job.held", len(refused)), ("archive.failed", 1)):
        assert len(home.logged(event)) == times, f"{event} is said once, not at every try"
    assert home.stop() == 0


def test_a_state_folder_that_may_not_be_written_is_refused_before_anything_happens(
    sandbox: Sandbox, make_home: MakeHome, of_unprivileged_user: Callable[[Home], Home]
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url, inbox={"existing": "take"}))
    drop(home.inbox, "ep1.wav")
    take_from(home.state)
    refused = home.command("run")
    assert refused.returncode == 3
    assert f"the state folder {home.state} cannot be used: Permission denied." in refused.stderr
    assert f"Let uid {NOBODY} write it" in refused.stderr
    give(home.state)
    assert home.command("run", "--once").returncode == 0

    database = home.state / "lalald.sqlite3"
    take_from(database)
    for mode in (0o600, 0o644):
        database.chmod(mode)
        refused = home.command("run")
        assert (refused.returncode, "Traceback" in refused.stderr) == (3, False)
        assert f"cannot be opened for writing by uid {NOBODY}" in refused.stderr
    assert tree(home.inbox) == ["done/ep1.wav"]
    assert len(sandbox.state()["charges"]) == 1


def test_an_unreadable_file_is_reported_and_processed_once_readable(
    sandbox: Sandbox, make_home: MakeHome, of_unprivileged_user: Callable[[Home], Home]
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url))
    home.start()
    made = home.root / "ep1.wav"
    write_wav(made)
    give(made)
    made.chmod(0)
    made.rename(home.inbox / "ep1.wav")
    until(lambda: home.logged("file.unreadable"), "it is said")
    explained = home.command("explain", str(home.inbox / "ep1.wav"))
    assert f"no: uid {NOBODY} may not read it" in explained.stdout
    (home.inbox / "ep1.wav").chmod(0o400)
    until(lambda: tree(home.inbox) == ["done/ep1.wav"], "it is registered")
    assert len(home.logged("file.unreadable")) == 1


def test_another_user_sees_what_is_hidden_and_no_invented_price(
    sandbox: Sandbox, make_home: MakeHome, of_unprivileged_user: Callable[[Home], Home]
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url))
    drop(home.inbox, "ep1.wav")
    assert home.command("run", "--once").returncode == 0
    take_from(home.state)
    for arguments in (["plan"], ["explain", str(home.inbox / "done" / "ep1.wav")], ["jobs"], ["retry", "1"]):
        answer = home.command(*arguments)
        assert (answer.returncode, answer.stdout) == (3, ""), arguments
        assert answer.stderr.startswith(f"lalald: {home.state} may not be read by this user.\n"), arguments
    take_from(home.config)
    home.config.chmod(0o600)
    answer = home.command("jobs")
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"lalald: {home.config} cannot be read by uid {NOBODY}: Permission denied\n")


PLACES = {  # what is refused in an inbox, and what the reason must name; a file there is not paid for
    "inbox": ("inbox", {}),
    "subfolder": ("inbox/sub", {}),
    "delete": ("inbox", {"on_success": "delete"}),
    "done": ("inbox/done", {}),
    "failed": ("failed", {}),
    "sticky": ("inbox/sub/sticky.wav", {}),
}


def bar(name: str, place: Path) -> None:
    """User 65534 may read what is there, and not change it."""
    if name == "sticky":
        place.parent.chmod(0o1777)
        take_from(place.parent, place)
        place.chmod(0o644)
    else:
        place.mkdir(exist_ok=True)
        take_from(place)


def test_a_source_that_cannot_be_moved_is_held_before_the_charge(
    sandbox: Sandbox, make_home: MakeHome, of_unprivileged_user: Callable[[Home], Home]
) -> None:
    home = of_unprivileged_user(make_home(sandbox.url, inbox={"existing": "take"}))
    at = inboxes_of(home, *PLACES, "keep")
    for name, config in zip(at, home.settings["inboxes"], strict=True):
        config.update({"on_success": "keep"} if name == "keep" else PLACES[name][1])
    home.write_config()
    within = {name: "sub/" if name in ("subfolder", "sticky") else "" for name in at}
    for name, place in at.items():
        folder = place["inbox"] / within[name]
        folder.mkdir(exist_ok=True)
        give(folder)
        made = home.root / f"{name}.wav"
        write_wav(made, pitch=200 + 10 * list(at).index(name))
        give(made)
        made.rename(folder / f"{name}.wav")
    refused = {name: at[name]["inbox"].parent / path for name, (path, _) in PLACES.items()}
    for name, path in refused.items():
        bar(name, path)
    take_from(at["keep"]["inbox"])
    home.start()
    until(lambda: len(home.jobs()) == len(at), "all are registered")
    jobs = {Path(job["path"]).stem: job for job in home.rest()}
    for name, path in refused.items():
        job = jobs[name]
        assert (job["state"], job["hold"], job["stage"]) == ("held", "permission", "split"), (name, job)
        assert str(path) in job["hold_reason"], (name, job["hold_reason"])
        assert str(NOBODY) in job["hold_reason"]
        assert "Nothing was charged" in job["hold_reason"]
        assert ".lalald" not in job["hold_reason"]
    assert jobs["keep"]["state"] == "done", "nothing but reading is asked of its inbox"
    assert len(sandbox.state()["charges"]) == 1
    assert "permission" in home.command("status").stdout
    printable = home.command("show", str(jobs["inbox"]["id"])).stdout
    assert "permission" in printable
    assert len(home.logged("job.held")) == len(refused)
    give(*refused.values(), refused["sticky"].parent)
    for name in refused:
        gone = at[name]["inbox"] / within[name] / f"{name}.wav"
        until(lambda gone=gone: not gone.exists(), f"{name} goes on", 60)  # type: ignore[misc] # bound here
    assert len(sandbox.state()["charges"]) == len(at), "each once"
    left = [path for path in files_below(home.root) if path.name.startswith(".lalald-")]
    assert left == []
    assert home.stop() == 0
