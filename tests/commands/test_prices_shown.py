"""The commands that tell prices: of a file, of all that waits, and what the service says is left."""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from tests.support.filled_store import ODD_NAME, FilledStore
from tests.support.ports import free_port
from tests.support.running import write_wav


def known(filled_store: FilledStore, store: Store, path: str, **facts: Any) -> Job:
    """A job for a file that lies there."""
    seen = (filled_store.inbox / path).stat()
    return filled_store.take(store, path, size=seen.st_size, mtime_ns=seen.st_mtime_ns, inode=seen.st_ino, **facts)


def explained(filled_store: FilledStore, *paths: str) -> str:
    return filled_store.said("explain", *(str(filled_store.inbox / path) for path in paths))


def test_a_file_that_will_be_processed_is_priced(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path, inbox={"existing": "take"})
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    assert explained(filled_store, "mix.wav") == (
        "/in/mix.wav\n"
        "  processed  yes: rule remix\n"
        "  finished   yes: no program has it open for writing\n"
        "  inbox      /in\n"
        "  rule       remix\n"
        '  task lead  stem_separator {"multivocal": "lead_back", "stem": "vocals"}\n'
        '  task 2     multistem {"stem_list": ["drum", "bass"]}\n'
        "  duration   12s\n"
        "  cost       about 0.6 min\n"
    )


def test_an_unknown_duration_has_an_unknown_price(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path, inbox={"existing": "take"})
    (filled_store.inbox / "film.mkv").write_bytes(b"no header that is read")
    assert explained(filled_store, "film.mkv").splitlines()[-2:] == [
        "  duration   unknown: the file does not state it",
        "  cost       unknown until it is uploaded, which costs nothing",
    ]
    (facts,) = json.loads(filled_store.said("explain", "--json", str(filled_store.inbox / "film.mkv")))
    assert (facts["duration"], facts["minutes"], facts["unknown"]) == (None, None, 1)


def test_explain_says_why_a_file_is_not_processed(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path, inbox={"ignore": ["drafts/"], "on_success": "move"})
    for name in (".hidden.wav", "notes.txt", "drafts/song.wav", "song.wav.part", "empty.wav", "done/song.wav"):
        path = filled_store.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"" if name == "empty.wav" else b"sound")
    os.symlink("notes.txt", filled_store.inbox / "link.wav")
    names = sorted(path.name for path in filled_store.inbox.iterdir())
    output = json.loads(
        filled_store.said(
            "explain", "--json", *(str(filled_store.inbox / name) for name in [*names, "drafts/song.wav", "gone.wav"])
        )
    )
    assert [(Path(one["path"]).name, one["taken"], one["reason"]) for one in output] == [
        (".hidden.wav", False, "it is hidden (its name begins with a dot)"),
        ("done", False, "nothing in this folder is processed: it is in the inbox's done folder"),
        ("drafts", False, "nothing in this folder is processed: `ignore` excludes it (drafts/)"),
        ("empty.wav", False, "it is empty"),
        ("link.wav", False, "it is a symlink, and symlinks are not followed"),
        ("notes.txt", False, "not an audio or video file (by extension), and no rule takes other types"),
        ("song.wav.part", False, "its name marks a temporary file (*.part)"),
        ("song.wav", False, "`ignore` excludes it (drafts/)"),
        ("gone.wav", False, "the file does not exist"),
    ]
    assert filled_store.said("explain", "/elsewhere/song.wav") == (
        "/elsewhere/song.wav\n  processed  no: it is not in an inbox; the inboxes: /in\n"
    )


def test_a_file_with_a_job_is_explained_with_its_job(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    filled_store.fill()
    write_wav(filled_store.inbox / "podcasts/new.wav", 6.0)
    with filled_store.store() as store:
        known(filled_store, store, "podcasts/new.wav")
    assert explained(filled_store, "podcasts/new.wav") == (
        "/in/podcasts/new.wav\n"
        "  processed  yes: it is job 10\n"
        "  inbox      /in\n"
        "  rule       podcasts\n"
        "  job        10, waiting at upload (`lalald show 10`)\n"
        '  task 1     voice_clean {"dereverb_enabled": true, "stem": "voice"}\n'
        "  duration   3m\n"
        "  cost       about 3.0 min\n"
    )
    write_wav(filled_store.inbox / "done/podcasts/ep1.mp3", 1.0)
    (output,) = json.loads(filled_store.said("explain", "--json", str(filled_store.inbox / "done/podcasts/ep1.mp3")))
    assert output == {
        "path": "/in/done/podcasts/ep1.mp3",
        "outcome": "not_taken",
        "taken": False,
        "reason": "it is in the inbox's done folder",
        "inbox": "/in",
        "inbox_available": True,
        "inbox_reason": None,
        "rule": "podcasts",
        "job": 1,
        "state": "done",
        "stage": "done",
        "hold": None,
        "hold_reason": None,
        "open_for_writing": None,
        "unchanged_seconds": None,
        "settles_for_seconds": None,
        "duration": 180.0,
        "minutes": 0.0,
        "unknown": 0,
        "minutes_charged": 3.0,
        "duplicate_of": None,
        "expected_hold": None,
        "expected_hold_source": None,
        "expected_hold_reason": None,
        "tasks": [{"name": None, "mode": "voice_clean", "presets": {"dereverb_enabled": True, "stem": "voice"}}],
        "remarks": [],
    }


def test_an_odd_name_is_explained_and_escaped(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path, inbox={"existing": "take"})
    write_wav(filled_store.inbox / ODD_NAME, 6.0)
    answer = filled_store.run("explain", str(filled_store.inbox / ODD_NAME))
    assert answer.returncode == 0
    assert filled_store.plain(answer.stdout).startswith(
        "/in/caf\\udce9\\nlatte\\x1b[31m.wav\n  processed  yes: rule remix\n"
    )
    assert json.loads(filled_store.run("explain", "--json", str(filled_store.inbox / ODD_NAME)).stdout)[0][
        "path"
    ] == str(filled_store.inbox / ODD_NAME)


def key_in(root: Path) -> str:
    """A file with a license key."""
    path = root / "license-key"
    path.touch(0o600)
    path.write_text("a-key\n")
    return str(path)


def planned(root: Path, api_url: str) -> FilledStore:
    """New files, known ones, changed ones and left ones, and jobs that wait and are held; one inbox is not there."""
    filled_store = FilledStore(root, api_url=api_url, minutes={"reserve": 2}, license_key_file=key_in(root))
    settings = yaml.safe_load(filled_store.config.read_text())
    settings["inboxes"].append({**settings["inboxes"][0], "path": str(root / "gone"), "outbox": str(root / "other")})
    filled_store.config.write_text(yaml.safe_dump(settings))
    for path, seconds in (("podcasts/new.wav", 6.0), ("mix.wav", 12.0), ("done/old.wav", 60.0)):
        write_wav(filled_store.inbox / path, seconds)
    for path in (
        "deep/er/film.mkv",
        "known.wav",
        "changed.wav",
        "held.wav",
        "notes.txt",
        "read.me",
        ".hidden.wav",
        ".lalald",
    ):
        (filled_store.inbox / path).parent.mkdir(parents=True, exist_ok=True)
        (filled_store.inbox / path).write_bytes(b"no header that is read")
    with filled_store.store() as store:
        for job in (known(filled_store, store, "known.wav"), filled_store.take(store, "changed.wav", size=5)):
            store.save(job, replace(job, state=State.DONE, stage=Stage.DONE))
        known(filled_store, store, "held.wav", duration=None, hold=Hold.FIRST_SCAN, hold_reason="it lay there")
        filled_store.take(store, "podcasts/waiting.wav")
        filled_store.take(store, "podcasts/held.wav", hold=Hold.MINUTES, hold_reason="too few")
    return filled_store


def words(text: str) -> list[str]:
    """Lines without what aligns them."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_plan_prices_everything_that_waits(tmp_path: Path, sandbox: Sandbox) -> None:
    filled_store = planned(tmp_path, sandbox.url)
    sandbox.set_minutes(7.5)
    assert words(filled_store.said("plan").replace(str(tmp_path), "")) == [
        "RULE INBOX NEW WAITING HELD MINUTES UNKNOWN",
        "podcasts /in 1 1 1 6.1 -",
        "remix /in 3 0 1 0.6 3",
        "",
        "total",
        "files 7",
        "cost at least 6.7 min, 3 files of unknown length",
        "an unknown length is measured after the upload, which costs nothing",
        "left 7.5 min, 2 of them in reserve",
        "at least 1.2 min missing: the oldest files are processed first, the others are held",
        "",
        "not processed",
        "2 not an audio or video file (by extension), and no rule takes other types",
        "1 it is hidden (its name begins with a dot)",
        "",
        "not examined",
        "/gone: No such file or directory",
    ]


def test_a_plan_as_json_prices_the_same(tmp_path: Path, sandbox: Sandbox) -> None:
    filled_store = planned(tmp_path, sandbox.url)
    sandbox.set_minutes(7.5)
    assert json.loads(filled_store.said("plan", "--json").replace(str(tmp_path), "")) == {
        "rules": [
            {
                "inbox": "/in",
                "rule": "podcasts",
                "new": 1,
                "waiting": 1,
                "held": 1,
                "minutes": 6.1,
                "unknown": 0,
                "unfinished": 0,
            },
            {
                "inbox": "/in",
                "rule": "remix",
                "new": 3,
                "waiting": 0,
                "held": 1,
                "minutes": 0.6,
                "unknown": 3,
                "unfinished": 0,
            },
        ],
        "files": 7,
        "minutes": 6.7,
        "unknown": 3,
        "unfinished": 0,
        "over_per_file": 0,
        "spent_today": 0.0,
        "left_alone": {
            "not an audio or video file (by extension), and no rule takes other types": 2,
            "it is hidden (its name begins with a dot)": 1,
        },
        "first_scan_holds": {},
        "troubles": ["/gone: No such file or directory"],
        "minutes_left": 7.5,
        "minutes_left_error": None,
    }


def test_files_of_which_nothing_is_known_are_not_said_to_cost_nothing(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    (filled_store.inbox / "film.mkv").write_bytes(b"no header that is read")
    output = words(filled_store.said("plan"))
    assert "cost 1 file of unknown length" in output
    assert not any(line.startswith("cost about") for line in output)


def test_a_held_file_is_explained_with_its_hold(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    with filled_store.store() as store:
        known(filled_store, store, "mix.wav", hold=Hold.FIRST_SCAN, hold_reason="it lay there before the first look")
    assert "  held       first_scan: it lay there before the first look\n" in explained(filled_store, "mix.wav")


def test_a_plan_shows_what_the_limits_per_file_and_per_day_will_hold(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path, minutes={"per_file": 0.5, "per_day": 2})
    for path, seconds in (
        ("fits.wav", 10.0),
        ("mix.wav", 12.0),
        ("podcasts/long.wav", 31.0),
        ("podcasts/just.wav", 30.0),
    ):
        write_wav(filled_store.inbox / path, seconds)
    with filled_store.store() as store:
        job = filled_store.take(store, "podcasts/paid.mp3", time.time())
        store.save(job, job.with_task(replace(job.tasks[0], task_id="t", minutes=1.5, started_at=time.time())))
        filled_store.take(store, "podcasts/released.mp3", duration=60.0)
        store.connection.execute(
            "UPDATE jobs SET per_file_waived = 1, approved_minutes = 1.0 WHERE path = 'podcasts/released.mp3'"
        )
    output = words(filled_store.said("plan"))
    assert "2 files above minutes.per_file (0.5 min): each is held until `lalald release ID`" in output
    assert "today 0.5 min: minutes.per_day allows 2, 1.5 were charged" in output
    facts = json.loads(filled_store.said("plan", "--json"))
    assert (facts["over_per_file"], facts["spent_today"]) == (2, 1.5)


def test_a_plan_changes_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    filled_store = planned(tmp_path, sandbox.url)

    def everything() -> dict[str, tuple[int, int]]:
        found = [path.stat() for path in sorted(tmp_path.rglob("*")) if not path.name.endswith(("-wal", "-shm"))]
        return {
            str(facts.st_ino): (facts.st_size, facts.st_mtime_ns) for facts in found if not stat.S_ISDIR(facts.st_mode)
        }

    before = everything()
    filled_store.said("plan")
    filled_store.said("explain", str(filled_store.inbox / "mix.wav"))
    assert everything() == before
    assert sandbox.state()["sources"] == []


def test_a_plan_before_the_first_run_needs_no_store_and_no_key(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    write_wav(filled_store.inbox / "mix.wav", 12.0)
    assert words(filled_store.said("plan"))[-4:] == [
        "total",
        "files 1",
        "cost about 0.6 min",
        "left unknown: there is no license key",
    ]
    assert not filled_store.state.exists()
    skipping = FilledStore(tmp_path / "skip", inbox={"existing": "skip"})
    write_wav(skipping.inbox / "mix.wav", 12.0)
    assert words(skipping.said("plan"))[-2:] == [
        "not processed",
        "1 existing: skip: it was in the inbox before the first scan",
    ]


def test_an_empty_plan_says_what_to_do(tmp_path: Path) -> None:
    said = FilledStore(tmp_path).said("plan")
    assert said.startswith(
        "Nothing waits to be processed. Put audio or video files into /in, then run `lalald plan` again."
    )


def test_a_plan_of_a_folder_with_thousands_of_files_is_complete(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    for number in range(2100):
        (filled_store.inbox / f"{number}.mkv").write_bytes(b"x")
    with filled_store.store() as store:
        for number in range(0, 2100, 3):
            known(filled_store, store, f"{number}.mkv", duration=60.0)
    facts = json.loads(filled_store.said("plan", "--json"))
    assert facts["rules"] == [
        {
            "inbox": "/in",
            "rule": "remix",
            "new": 1400,
            "waiting": 700,
            "held": 0,
            "minutes": 2100.0,
            "unknown": 1400,
            "unfinished": 0,
        }
    ]


def test_minutes_requests_the_minutes_left(tmp_path: Path, sandbox: Sandbox) -> None:
    filled_store = FilledStore(tmp_path, api_url=sandbox.url, license_key_file=key_in(tmp_path))
    sandbox.set_minutes(1234.56)
    assert filled_store.said("minutes") == "1,234.5 minutes left\n"
    assert json.loads(filled_store.said("minutes", "--json")) == {"minutes_left": 1234.56}
    sandbox.set_minutes(0.0)
    assert filled_store.said("minutes").startswith("No minutes are left. Buy more on the LALAL.AI website: ")
    assert json.loads(filled_store.said("minutes", "--json")) == {"minutes_left": 0.0}
    sandbox.set_keys("another-key")
    refused = filled_store.complained("minutes")
    assert "HTTP 403" in refused
    assert "a-key" not in refused
    (tmp_path / "license-key").write_text("")
    assert filled_store.complained("minutes").startswith("lalald: there is no license key\n")


def test_a_service_that_is_not_there_ends_with_1(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        complaint = FilledStore(tmp_path, api_url=url, license_key_file=key_in(tmp_path)).complained("minutes", code=1)
    assert complaint.startswith("lalald: ")
    assert "Traceback" not in complaint


SEVEN = ["ALEX_KAYE", "STASIA_FAYE", "NICOLAAS_HAAS", "NIK_ZEL", "OLIA_CHEBO", "YVAR_DE_GROOT", "VETRANA"]


def test_voices_are_the_seven_common_ones_and_the_accounts_own(tmp_path: Path, sandbox: Sandbox) -> None:
    filled_store = FilledStore(tmp_path, api_url=sandbox.url, license_key_file=key_in(tmp_path))
    key = (tmp_path / "license-key").read_text()
    (tmp_path / "license-key").write_text("")
    code, out, complaint = filled_store.call("voices")
    assert (code, [line.split()[0] for line in out.splitlines()[1:]]) == (2, SEVEN)
    assert complaint.startswith("lalald: your own voice packs cannot be listed: there is no license key\n")
    (tmp_path / "license-key").write_text(key)
    packs = json.loads(filled_store.said("voices", "--json"))
    assert [pack["voice_pack_id"] for pack in packs[:7]] == SEVEN
    assert packs[0] == {"voice_pack_id": "ALEX_KAYE", "name": "ALEX_KAYE", "own": False, "created_at": None}
    assert [pack["own"] for pack in packs] == [False] * 7 + [True] * (len(packs) - 7)
    assert len(packs) > 7
    assert [line.split()[0] for line in filled_store.said("voices").splitlines()[1:]] == [
        pack["voice_pack_id"] for pack in packs
    ]


@pytest.mark.parametrize("command", ["minutes", "voices"])
def test_a_service_that_cannot_be_reached_is_an_error_that_says_what_to_do(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LALALD_LICENSE_KEY", "a-key")
    filled_store = FilledStore(tmp_path, api_url=f"http://127.0.0.1:{free_port()}")
    code, said, complaint = filled_store.call(command)
    assert (code, "ALEX_KAYE" in said) == (1, command == "voices")
    assert "127.0.0.1: the connection was refused" in complaint
    hint = "Nothing was charged. Check the network and `api_url`, or try again later: LALAL.AI may be down."
    assert complaint.endswith(f"\n  {hint}\n")
    assert json.loads(filled_store.call(command, "--json")[1])["hint"] == hint
