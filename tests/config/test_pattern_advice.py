"""Patterns that match nothing, or something else than was meant, are warned of with what was probably meant; good ones are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalald.config import patterns
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.config_files import loaded, mistakes, one, warnings


def text(match: Any = None, *, types: str = "media", **inbox: Any) -> str:
    rule: dict[str, Any] = {"name": "cheap", "mode": "voice_clean", "types": types}
    if match is not None:
        rule["match"] = match
    entry = {"path": "/srv/music/inbox", "outbox": "/srv/out", **inbox, "rules": [rule]}
    return yaml.safe_dump({"state_dir": "/var/lib/lalald", "inboxes": [entry]}, sort_keys=False)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("Live [2020]/", r"Live \[2020\]/"), ("[FLAC]/*.flac", r"\[FLAC\]/*.flac"), ("*[Remix]*", r"*\[Remix\]*"),
        ("[Demo] *.wav", r"\[Demo\] *.wav"), ("[1984]/", r"\[1984\]/"), ("a [Disc 1]/[0-9]*.wav", r"a \[Disc 1\]/[0-9]*.wav"),
        ("./pod/", "pod/"), ("./*.wav", "*.wav"), ("pod/./live/", "pod/live/"), ("pod/../live/", "live/"),
        ("/srv/music/inbox/pod/", "pod/"), ("/srv/music/inbox//pod/*.wav", "pod/*.wav"), ("/srv/music/inbox/./pod/", "pod/"),
        ("~/pod/", "pod/"), ("$HOME/pod/", "pod/"), ("${HOME}/pod/x.wav", "pod/x.wav"),
        ("*.{wav,mp3}", ["*.wav", "*.mp3"]), ("{a,b}/*.{wav,mp3}", ["a/*.wav", "a/*.mp3", "b/*.wav", "b/*.mp3"]),
        ("take {1..4}.wav", "take [1-4].wav"), ("*.wav,*.mp3", ["*.wav", "*.mp3"]), ("*.wav; *.mp3", ["*.wav", "*.mp3"]),
        ("*.wav|*.mp3", ["*.wav", "*.mp3"]), ("*.wav *.mp3", ["*.wav", "*.mp3"]), ("pod/*.wav, live/", ["pod/*.wav", "live/"]),
        (r"pod\live\*.wav", "pod/live/*.wav"), (r"pod\*.wav", "pod/*.wav"), (r"pod\\live", "pod/live"),
        (" *.wav", "*.wav"), (" pod/", "pod/"), (".*\\.wav", "*.wav"), ("^.*\\.wav$", "*.wav"), (".wav", "*.wav"),
        ("./Live [2020]/", r"Live \[2020\]/"), ("./*.{wav,mp3}", ["*.wav", "*.mp3"]), ("!./pod/", "!pod/"),
    ],
)  # fmt: skip
def test_a_pattern_that_was_meant_otherwise_gets_a_warning_with_what_was_meant(
    tmp_path: Path, pattern: str, meant: str | list[str]
) -> None:
    written = ["*.flac", pattern]
    reported = one(warnings(tmp_path, text(written), {"HOME": "/srv/music/inbox"}))
    expected = [meant] if isinstance(meant, str) else meant
    assert reported.startswith(f'line 11  inboxes[0].rules[0].match[1]: "{pattern}" '), reported
    assert re.findall(r'"([^"]*)"', reported.split("Did you mean ")[1]) == expected
    assert all(map(patterns.is_pattern, expected))
    (tmp_path / "again").mkdir()
    assert warnings(tmp_path / "again", text(["*.flac", *expected])) == [], "what is proposed is good"


@pytest.mark.parametrize(
    "pattern",
    [
        "../pod/",
        "~/elsewhere/",
        "/srv/music/other/pod/",
        "/srv/music/inbox",
        "/srv/music/inbox/",
        ".hidden/*.wav",
        ".*",
        "./",
        "*.txt",
    ],
)
def test_a_pattern_that_matches_nothing_gets_a_warning_even_without_a_suggestion(tmp_path: Path, pattern: str) -> None:
    reported = one(warnings(tmp_path, text(["*.flac", pattern]), {"HOME": "/home/me"}))
    assert f'"{pattern}" ' in reported
    assert "Did you mean" not in reported


@pytest.mark.parametrize(
    "pattern",
    [
        "*.wav", "[0-9]*.wav", "**/x", "!keep.wav", "[a-z]*", "[!a-z]*", "[^0-9]x", "[Ww]av", "*.[mM][pP]3", "*.[wW][aA][vV]", "[abc].wav",
        "[aeiou]*", "[0-9a-fA-F].wav", "[12345].wav", "[xX]", "[[:alpha:]]*", "[ _-]*", "[0-9][0-9] *", r"Live \[2020\]/", "{name}/",
        r"\{a,b\}/", "Simon, Garfunkel/", "Simon & Garfunkel/*.wav", "a|b/", "My Band *.wav", "/pod/", "/*.wav", "pod/*/live/", "pod/",
        "a.b/c.d.wav", "...", "song...", r"\#1.wav", r"\!.wav", r"what\?.wav", r"song \*live\*.wav", "trailing \\ ", "pod/ ", "#1/",
        "/srv/", "/music/live/", "$1 songs/", "tilde~/", "a~b.wav", "Ünï*/", "take ?.wav", "*.WAV", "wav", "mp3/", "done/",
    ],
)  # fmt: skip
def test_a_good_pattern_is_not_warned_of(tmp_path: Path, pattern: str) -> None:
    assert warnings(tmp_path, text(["*.flac", pattern], types="any"), {"HOME": "/home/me"}) == []


def test_ignore_patterns_get_warnings_too_but_may_name_excluded_files(tmp_path: Path) -> None:
    odd = ["./drafts/", "*.{txt,pdf}", "Live [2020]/", "/srv/music/inbox/drafts/", r"drafts\old", "good/"]
    reported = warnings(tmp_path, text(ignore=odd))
    assert [int(re.search(r"ignore\[(\d)\]", line)[1]) for line in reported] == [0, 1, 2, 3, 4]  # type: ignore[index]
    assert (
        warnings(tmp_path, text(ignore=[".git/", "*.txt", "$RECYCLE.BIN/", "~$*", "done/old/", ".*", "#recycle"])) == []
    )


def test_a_folder_pattern_where_folders_are_not_entered_gets_a_warning(tmp_path: Path) -> None:
    assert "not recursive" in one(warnings(tmp_path, text(["pod/"], recursive=False)))
    assert warnings(tmp_path, text(["*.wav", "**/*.mp3", "/a*.wav"], recursive=False)) == []


def test_a_pattern_within_a_folder_that_is_never_watched_gets_a_warning(tmp_path: Path) -> None:
    assert "/srv/music/inbox/done" in one(warnings(tmp_path, text(["done/again/*.wav"])))
    assert "always ignored" in one(warnings(tmp_path, text(["/out/"], outbox="out")))


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("pod\\", "pod/"), ("pod\\\\live\\", "pod/live/"), ("[Live-Acoustic]/", r"\[Live-Acoustic\]/")],
)
def test_a_pattern_that_is_none_comes_with_what_was_meant(tmp_path: Path, pattern: str, meant: str) -> None:
    reported = one(mistakes(tmp_path, text([pattern])))
    assert reported.endswith(f'can match a file. Did you mean "{meant}"?')


def test_an_inbox_behind_a_symlink_is_known_by_both_paths(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("real", "link"):
        reported = one(warnings(tmp_path, text([f"{tmp_path}/{name}/pod/"], path=str(tmp_path / "link"))))
        assert reported.endswith('Did you mean "pod/"?')


def test_check_config_looks_whether_brackets_were_meant_literally(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    rule = {"name": "ep", "mode": "voice_clean", "match": ["*.wav", "[EP]/", "Disc [12]/", "[ab].wav", "/usr/lib/"]}
    home.settings["inboxes"][0].update(rules=[rule], ignore=["x [320]/"])
    home.write_config()
    assert loaded(home.root, home.config.read_text()).warnings == ()
    assert "brackets" not in home.command("check-config").stdout
    for folder in ("[EP]", "Disc 1", "sub/x [320]"):
        (home.inbox / folder).mkdir(parents=True)
    reported = home.command("check-config").stdout.splitlines()
    found = [line for line in reported if " brackets stand for " in line]
    assert len(found) == 2
    assert '.ignore[0]: "x [320]/" does not match' in found[0]
    assert found[0].endswith(r'Did you mean "x \[320\]/"?')
    assert '.match[1]: "[EP]/" does not match' in found[1]
    assert found[1].endswith(r'Did you mean "\[EP\]/"?')
    assert [line for line in reported if '"/usr/lib/" is not relative to the inbox' in line]
    (home.inbox / "usr").mkdir()
    assert "/usr/lib/ is" not in home.command("check-config").stdout


def test_the_daemon_logs_it_and_the_example_and_the_contract_have_none(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    home.settings["inboxes"][0]["rules"][0]["match"] = "./pod/"
    home.write_config()
    home.start()
    assert home.stop() == 0
    (warning,) = home.logged("config.warning")
    assert warning["reason"].endswith('Did you mean "pod/"?')
