"""`init`, `check-config` and `schema`, as the program itself."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lalald.config import load
from lalald.config.schema import file_schema
from lalald.config.schema.json_schema import schema
from lalald.store import Store
from tests.support import ROOT
from tests.support.config_files import CONTRACT, ONE_RULE, with_inbox, with_rule

EXAMPLE = ROOT / "config.example.yaml"


def lalald(
    *words: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LALALD_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "-m", "lalald", *words],
        env={**kept, **(environ or {})}, cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# init


def test_init_writes_a_configuration_that_works_and_says_what_to_do_next(tmp_path: Path) -> None:
    home = tmp_path / "my $TUFF, \"quoted\" & 'so' # é"
    done = lalald("init", str(home))
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        str(home / "license-key"),
        f"lalald --config {shlex.quote(str(home / 'config.yaml'))} check-config",
        f"lalald --config {shlex.quote(str(home / 'config.yaml'))} run",
        str(home / "inbox"),
    ):
        assert words in done.stdout
    assert sorted(files(home)) == ["config.yaml", "inbox", "license-key", "outbox"]
    assert stat.S_IMODE((home / "license-key").stat().st_mode) == 0o600
    config = load(home / "config.yaml", {"HOME": str(tmp_path)})
    (inbox,) = config.inboxes
    assert (inbox.path, inbox.outbox, config.state_dir) == (home / "inbox", home / "outbox", home / "state")
    environ = {"HOME": str(tmp_path), "LALALD_CONFIG": str(home / "config.yaml")}
    checked = lalald("check-config", environ=environ)
    assert checked.returncode == 0, checked.stderr
    assert "(license_key_file) is empty; every file will be held" in checked.stdout


def test_what_init_wrote_works_by_a_link_to_it_too(tmp_path: Path) -> None:
    """As the README links it for a service of one user."""
    home, link = tmp_path / "lalald", tmp_path / ".config" / "lalald" / "config.yaml"
    assert lalald("init", str(home)).returncode == 0
    (home / "license-key").write_text("a-key\n")
    link.parent.mkdir(parents=True)
    link.symlink_to(home / "config.yaml")
    checked = lalald("check-config", environ={"HOME": str(tmp_path)})
    assert checked.returncode == 0, checked.stderr
    assert str(link) in checked.stdout
    assert "license key  found" in checked.stdout


def test_init_without_a_folder_works_here(tmp_path: Path) -> None:
    assert lalald("init", cwd=tmp_path).returncode == 0
    assert load(tmp_path / "config.yaml", {"HOME": "/h"}).inboxes[0].path == tmp_path / "inbox"


def test_two_folders_of_init_share_no_state(tmp_path: Path) -> None:
    """Seen: `status` of the second one showed the jobs of the first, and its daemon as running."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        assert lalald("init", str(folder)).returncode == 0
        (folder / "license-key").write_text("any-word")
    environ = {"HOME": str(tmp_path), "LALALD_API_URL": "http://127.0.0.1:9"}
    Store.open(first / "state").close()
    assert lalald("--config", str(first / "config.yaml"), "jobs", environ=environ).returncode == 0
    other = lalald("--config", str(second / "config.yaml"), "jobs", environ=environ)
    assert other.returncode == 3
    assert f"{second}/state holds no database yet" in other.stderr


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    before = files(tmp_path)
    done = lalald("init", str(tmp_path))
    assert done.returncode == 2
    assert "config.yaml already exists; nothing was changed" in done.stderr
    assert files(tmp_path) == before


def test_init_keeps_a_key_and_folders_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/song.mp3").write_bytes(b"song")
    (tmp_path / "license-key").write_text("a-key")
    assert lalald("init", str(tmp_path)).returncode == 0
    assert (tmp_path / "license-key").read_text() == "a-key"
    assert (tmp_path / "inbox/song.mp3").read_bytes() == b"song"


def test_init_where_nothing_can_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = lalald("init", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "cannot be created" in done.stderr
    assert "Traceback" not in done.stderr


# check-config


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("in", "out", "state"):
        (tmp_path / name).mkdir()
    text = CONTRACT.replace("/srv/lalal/inbox", str(tmp_path / "in")).replace(
        "/srv/lalal/outbox", str(tmp_path / "out")
    )
    text = text.replace("/var/lib/lalald", str(tmp_path / "state")).replace("/etc/lalald/license-key", "license-key")
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "license-key").write_text("SECRET-KEY")
    (tmp_path / "license-key").chmod(0o600)
    return tmp_path


def test_check_config_summarizes_what_will_be_watched(home: Path) -> None:
    config = home / "config.yaml"
    config.write_text(
        config.read_text().replace("minutes: {reserve: 0, per_file: null", "minutes: {reserve: 5, per_file: 60")
    )
    done = lalald("--config", str(config), "check-config")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        f"{config}: no errors", "found (license_key_file)", f"{home}/state", "5 minutes are kept in reserve, at most 60 minutes a file",
        f"inbox {home}/in", f"{home}/out", "native", "with subfolders; full scan every 1h", "have not changed for 5s",
        "more than 20 are held until `lalald release", "*.txt, drafts/", f"moves to {home}/in/done", f"moves to {home}/in/failed",
        "audio and video: podcasts/, *.wav", "voice_clean noise_cancelling_level=2 dereverb_enabled=true encoder_format=flac",
        "Clean to {dir}/{name}/{label}.{ext}", "lead: stem_separator stem=vocals multivocal=lead_back",
        "multistem stem_list=drum,bass", "3 × its duration",
    ):  # fmt: skip
        assert words in done.stdout, words
    assert "SECRET-KEY" not in done.stdout


def test_check_config_shows_warnings(home: Path) -> None:
    config = home / "config.yaml"
    config.write_text(config.read_text().replace("checks_per_minute: 30", "checks_per_minute: 40"))
    done = lalald("check-config", "--config", str(config))
    assert done.returncode == 0
    assert "line 6  checks_per_minute: the service's document allows 30; more may be refused" in done.stdout


def test_check_config_lists_errors_of_the_file_and_exits_with_2(home: Path) -> None:
    text = (home / "config.yaml").read_text().replace("    existing: hold\n", "    outpox: x\n")
    (home / "config.yaml").write_text(text + "histroy: 3d\n")
    done = lalald("check-config", "--config", str(home / "config.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"lalald: {home}/config.yaml: 2 errors",
        '  line 13  inboxes[0].outpox: unknown key. Did you mean "outbox"?',
        '  line 43  histroy: unknown key. Did you mean "history"?',
    ]


def test_check_config_lists_errors_of_folders_and_of_the_key(home: Path) -> None:
    (home / "in").rmdir()
    (home / "license-key").unlink()
    done = lalald("check-config", "--config", str(home / "config.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{home}/config.yaml: 2 errors" in done.stderr
    assert f"line 11  inboxes[0].path: there is no folder {home}/in" in done.stderr
    assert (
        f"line 1  license_key_file: there is no such file in {home}. Put the license key into that file." in done.stderr
    )


def test_check_config_without_a_configuration_says_where_it_looked(tmp_path: Path) -> None:
    done = lalald("check-config", environ={"HOME": str(tmp_path), "LALALD_CONFIG": str(tmp_path / "none.yaml")})
    assert done.returncode == 2
    assert f"LALALD_CONFIG: there is no file {tmp_path}/none.yaml" in done.stderr
    assert "lalald init" in done.stderr


# schema


def errors(text: str) -> list[str]:
    found = jsonschema.Draft202012Validator(schema()).iter_errors(yaml.safe_load(text))
    return [error.json_path for error in found]


def test_schema_prints_a_sound_json_schema() -> None:
    done = lalald("schema")
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == schema()


@pytest.mark.parametrize("text", [CONTRACT, ONE_RULE, EXAMPLE.read_text()])
def test_the_schema_accepts_valid_configurations(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (with_inbox("outpox: x"), "$.inboxes[0]"),
        (with_inbox("settle: soon"), "$.inboxes[0].settle"),
        (with_inbox("existing: held"), "$.inboxes[0].existing"),
        (with_inbox("recursive: 1"), "$.inboxes[0].recursive"),
        (f"{ONE_RULE}checks_per_minute: 0\n", "$.checks_per_minute"),
        (f"{ONE_RULE}transfers: {{upload_rate: fast}}\n", "$.transfers.upload_rate"),
        ("state_dir: /x\n", "$"),
        ("inboxes: []\n", "$.inboxes"),
        ("inboxes: [{path: /a, outbox: /b}]\n", "$.inboxes[0]"),
        (with_rule("- {}"), "$.inboxes[0].rules[0]"),
        (with_rule("- {mode: voice_clena}"), "$.inboxes[0].rules[0].mode"),
        (with_rule("- {mode: demuser, tasks: [{mode: demuser}]}"), "$.inboxes[0].rules[0]"),
        (with_rule("- {mode: stem_separator}"), "$.inboxes[0].rules[0]"),
        (with_rule("- {mode: stem_separator, presets: {stem: vocal}}"), "$.inboxes[0].rules[0].presets.stem"),
        (with_rule("- {mode: voice_clean, presets: {stem_list: [vocals]}}"), "$.inboxes[0].rules[0].presets"),
        (
            with_rule("- {mode: multistem, presets: {stem_list: [drum, drum]}}"),
            "$.inboxes[0].rules[0].presets.stem_list",
        ),
        (
            with_rule("- tasks: [{mode: demuser, presets: {stem: voice}}]"),
            "$.inboxes[0].rules[0].tasks[0].presets.stem",
        ),
        (
            with_rule("- {mode: stem_separator, presets: {stem: wind, splitter: lyra}}"),
            "$.inboxes[0].rules[0].presets.splitter",
        ),
        (
            with_rule("- {mode: stem_separator, presets: {stem: drum, multivocal: lead_back}}"),
            "$.inboxes[0].rules[0].presets.stem",
        ),
    ],
)
def test_the_schema_marks_what_lalald_refuses(text: str, place: str) -> None:
    assert place in errors(text)


def test_the_schema_lets_unchecked_presets_pass() -> None:
    rule = "- {mode: stem_separator, unchecked: true, presets: {stem: guitar, depth: 3}}"
    assert errors(with_rule(rule)) == []
    assert errors(with_rule("- {unchecked: true, tasks: [{mode: multistem, presets: {stem_list: [guitar]}}]}")) == []


def test_the_schema_describes_every_key_and_says_defaults_as_people_write_them() -> None:
    made = schema()
    sections = {"File": made, **{name: section for name, section in made["$defs"].items() if "_" not in name}}
    sections.pop("checked")
    assert set(sections) == {"File", "Log", "Transfers", "Minutes", "Web", "Notify", "Inbox", "Rule", "Task"}
    for name, section in sections.items():
        assert section["additionalProperties"] is False
        assert set(section["properties"]) == set(getattr(file_schema, name).model_fields)
        for key, facts in section["properties"].items():
            assert facts.get("description"), key
    inbox: dict[str, Any] = sections["Inbox"]["properties"]
    assert (inbox["settle"]["default"], inbox["rescan"]["default"]) == ("5s", "1h")
    assert made["properties"]["history"]["default"] == "90d"
