"""The program inside the image: its user, the checks of its volumes, and its first configuration."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lalald import __version__
from lalald.commands.init import RECIPES
from lalald.config import Config, Inbox, Rule, TaskSpec, load
from lalald.container import start, volumes
from lalald.errors import ConfigError
from lalald.sandbox.server import Sandbox
from tests.support import ROOT
from tests.support.running import tree, until, write_wav

NOBODY = 65534
PROGRAM = """
import os, sys
from pathlib import Path
from lalald.container.__main__ import main
sys.exit(main(sys.argv[2:], Path(sys.argv[1])))
"""
WHO = """
import os
from lalald.container.user import become
become(os.environ)
mask = os.umask(0)
print(*os.getresuid(), *os.getresgid(), oct(mask))
"""
BECOME_NOBODY = f"if os.geteuid() == 0: os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="needs root to change the user")


def run(*words: str, environ: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", *words], env=environment(environ or {}), capture_output=True, text=True, timeout=60,
        check=False, **options,
    )  # fmt: skip


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a container. PUID is 0 by default: another user may not be able to read the modules under test."""
    ours = ("LALALD_", "PUID", "PGID", "UMASK")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PUID": "0" if is_root else "", "PYTHONPATH": str(ROOT), **variables}


# who the process is


@needs_root
def test_root_becomes_puid_and_pgid_and_the_umask_is_set() -> None:
    said = run(WHO, environ={"PUID": "1026", "PGID": "100", "UMASK": "027"})
    assert said.stdout.split() == ["1026"] * 3 + ["100"] * 3 + ["0o27"]


@needs_root
def test_without_variables_the_process_becomes_uid_1000() -> None:
    assert run(WHO, environ={"PUID": "", "PGID": ""}).stdout.split() == ["1000"] * 6 + ["0o22"]


@needs_root
def test_additional_groups_are_kept_but_not_roots_own() -> None:
    script = WHO.replace("print(*os.getresuid(), *os.getresgid(), oct(mask))", "print(sorted(os.getgroups()))")
    said = run(script, environ={"PUID": "1026", "PGID": "100"}, extra_groups=[0, 44, 2000])
    assert said.stdout.strip() == "[44, 2000]"


@needs_root
def test_only_lalalds_own_files_are_given_to_the_user(tmp_path: Path) -> None:
    config, state, media = tmp_path, tmp_path / "state", tmp_path / "music"
    for folder in (state, media):
        folder.mkdir()
        (folder / "file").touch()
    (state / "elsewhere").symlink_to(media)
    mine = start.owned_folders(config, {"LALALD_STATE_DIR": str(state)})
    script = WHO.replace(
        "become(os.environ)", "import sys, pathlib; become(os.environ, map(pathlib.Path, sys.argv[1:]))"
    )
    assert run(script, *map(str, mine), environ={"PUID": "1026", "PGID": "100"}).returncode == 0
    given = {path for path in [config, *config.rglob("*")] if path.lstat().st_uid == 1026}
    assert given == {config, state, state / "file", state / "elsewhere"}


@needs_root
def test_an_empty_folder_that_the_engine_made_is_given_to_the_user_at_the_first_start(tmp_path: Path) -> None:
    """Docker makes the folder of a mount if there is none, as root: the user could not write it."""
    made, full, others, open_to_all = (tmp_path / name for name in ("made", "full", "others", "open"))
    for folder in (made, full, others, open_to_all):
        folder.mkdir(mode=0o755)
    (full / "song.wav").touch()
    os.chown(others, 1026, 100)
    open_to_all.chmod(0o777)
    state = tmp_path / "state"
    folders = (made, full, others, open_to_all, tmp_path / "missing")
    assert start.made_by_the_engine(state, folders, mountinfo(tmp_path)) == [made]
    assert (
        start.made_by_the_engine(state, folders, mountinfo(tmp_path, f"22 1 0:20 / {tmp_path} rw - nfs4 nas:/x rw\n"))
        == []
    )
    state.mkdir()
    (state / "lalald.sqlite3").touch()
    assert start.made_by_the_engine(state, folders, mountinfo(tmp_path)) == []


def test_a_process_that_is_not_root_ignores_puid() -> None:
    script = WHO.replace("become(os.environ)", f"{BECOME_NOBODY}\nbecome(os.environ)")
    said = run(script, environ={"PUID": "1026", "PGID": "100", "UMASK": "077"})
    user, group = (NOBODY, NOBODY) if is_root else (os.getuid(), os.getgid())
    assert said.stdout.split() == [str(user)] * 3 + [str(group)] * 3 + ["0o77"], said.stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("PUID", "anna"), ("PGID", "-1"), ("PUID", "4294967295"), ("UMASK", "8"), ("UMASK", "1777")]
)
def test_an_invalid_number_is_reported_with_its_variable(variable: str, value: str) -> None:
    ended = run(PROGRAM, "/nowhere", "status", environ={variable: value})
    assert ended.returncode == 2
    assert (
        ended.stderr
        == f'lalald: {variable}: expected a number such as {"022" if variable == "UMASK" else "1000"}, got "{value}"\n'
    )


# the configuration to begin with


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


def prepared(config_dir: Path, **variables: str) -> tuple[Config, str]:
    """The configuration that a container starts with, and what is logged about it."""
    environ = {"LALALD_EPHEMERAL": "1", "LALALD_STATE_DIR": str(config_dir / "state"), **variables}
    start.choose_config(config_dir, environ)
    accept = start.prepare(None, config_dir, environ)
    path = environ["LALALD_CONFIG"]
    config = load(Path(path), environ)
    accept(config)
    return config, path


@pytest.mark.parametrize(
    ("variables", "mode", "presets"),
    [
        ({}, "stem_separator", {"stem": "vocals"}),
        ({"LALALD_MODE": "", "LALALD_STEM": " "}, "stem_separator", {"stem": "vocals"}),
        ({"LALALD_STEM": "drum"}, "stem_separator", {"stem": "drum"}),
        ({"LALALD_MODE": "multistem", "LALALD_STEM": "drum, bass"}, "multistem", {"stem_list": ["drum", "bass"]}),
        ({"LALALD_STEMS": "drum,bass"}, "multistem", {"stem_list": ["drum", "bass"]}),
        ({"LALALD_FORMAT": "FLAC"}, "stem_separator", {"stem": "vocals", "encoder_format": "flac"}),
        ({"LALALD_MODE": "demuser"}, "demuser", {"stem": "music"}),
        ({"LALALD_MODE": "voice_clean"}, "voice_clean", {"stem": "voice"}),
        ({"LALALD_MODE": "change_voice", "LALALD_VOICE": "NIK_ZEL"}, "change_voice", {"voice_pack_id": "NIK_ZEL"}),
    ],
)
def test_a_container_without_a_configuration_has_one(
    variables: dict[str, str], mode: str, presets: dict[str, Any], config_dir: Path
) -> None:
    config, _ = prepared(config_dir, **variables)
    (inbox,) = config.inboxes
    assert (str(inbox.path), str(inbox.outbox)) == ("/inbox", "/outbox")
    (rule,) = inbox.rules
    ((found_mode, found_presets),) = [(task.mode, dict(task.presets)) for task in rule.tasks]
    assert (found_mode, found_presets) == (mode, presets)
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"LALALD_MODE": "stem_seperator"},
            'LALALD_MODE: unknown mode "stem_seperator".*Did you mean "stem_separator"',
        ),
        ({"LALALD_STEM": "vocal"}, 'LALALD_STEM: unknown stem "vocal".*Did you mean "vocals"'),
        ({"LALALD_MODE": "multistem"}, "LALALD_STEM: missing: multistem needs it"),
        ({"LALALD_MODE": "multistem", "LALALD_STEM": "drum,drum"}, "LALALD_STEM: .*listed twice"),
        ({"LALALD_MODE": "demuser", "LALALD_STEM": "vocals"}, "LALALD_STEM: unknown stem"),
        ({"LALALD_MODE": "change_voice"}, "LALALD_VOICE: missing"),
        ({"LALALD_VOICE": "NIK_ZEL"}, "LALALD_VOICE: unknown preset of stem_separator"),
        ({"LALALD_MODE": "demuser", "LALALD_STEMS": "drum"}, "LALALD_STEMS: is for LALALD_MODE=multistem"),
        ({"LALALD_STEMS": "drums"}, 'LALALD_STEMS: .*Did you mean "drum"'),
        ({"LALALD_FORMAT": "mp4"}, "LALALD_FORMAT: .*mp3"),
        ({"LALALD_TRACKS": "vokals"}, 'LALALD_TRACKS: .*"vokals"'),
        (
            {"LALALD_STEM": "drum", "LALALD_TRACKS": "instrumental"},
            'LALALD_TRACKS: unknown track "instrumental".*no_drum',
        ),
        (
            {"LALALD_STEMS": "vocals,drum", "LALALD_TRACKS": "instrumental"},
            'LALALD_TRACKS: unknown track "instrumental"',
        ),
        ({"LALALD_MINUTES_PER_FILE": "many"}, "LALALD_MINUTES_PER_FILE: .*many"),
        ({"LALALD_MINUTES_PER_DAY": "-1"}, "LALALD_MINUTES_PER_DAY: .*-1"),
        ({"LALALD_MINUTES_RESERVE": "1h"}, "LALALD_MINUTES_RESERVE: .*1h"),
        ({"LALALD_ON_SUCCESS": "remove"}, "LALALD_ON_SUCCESS: .*move"),
        ({"LALALD_SETTLE": "5 secnds"}, "LALALD_SETTLE: .*5s"),
        ({"LALALD_EXISTING": "yes"}, "LALALD_EXISTING: .*take"),
        ({"LALALD_EXISTING": "yes", "LALALD_SETTLE": "x"}, r"LALALD_EXISTING: [^\n]*\n  LALALD_SETTLE: "),
        ({"LALALD_RECIPE": "karoke"}, 'LALALD_RECIPE: unknown recipe "karoke".*Did you mean "karaoke"'),
        ({"LALALD_RECIPE": "karaoke", "LALALD_STEM": "drum"}, "LALALD_STEM: LALALD_RECIPE=karaoke decides it"),
        ({"LALALD_WEB_AUTH": "nothing"}, "LALALD_WEB_AUTH: .*password"),
        ({"LALALD_EPHEMERAL": "perhaps"}, "LALALD_EPHEMERAL: expected 1 or 0"),
    ],
)
def test_an_unknown_value_of_a_variable_is_reported(variables: dict[str, str], words: str, config_dir: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        prepared(config_dir, **variables)
    assert tree(config_dir) == []


def test_each_variable_sets_its_key(config_dir: Path) -> None:
    config, _ = prepared(
        config_dir, LALALD_TRACKS="instrumental, vocals", LALALD_MINUTES_PER_FILE="12.5", LALALD_MINUTES_PER_DAY="60",
        LALALD_MINUTES_RESERVE="5", LALALD_ON_SUCCESS="keep", LALALD_SETTLE="1m", LALALD_EXISTING="take",
    )  # fmt: skip
    (inbox,) = config.inboxes
    assert inbox.rules[0].tracks == ("no_vocals", "vocals")
    assert (config.minutes.per_file, config.minutes.per_day, config.minutes.reserve) == (12.5, 60, 5)
    assert (inbox.on_success, inbox.settle, inbox.existing) == ("keep", 60, "take")
    assert config.warnings == ()


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_each_recipe_works_on_the_folders_of_the_image(recipe: str, config_dir: Path) -> None:
    config, _ = prepared(config_dir, LALALD_RECIPE=recipe, LALALD_EXISTING="skip", LALALD_MINUTES_PER_DAY="60")
    (inbox,) = config.inboxes
    assert (str(inbox.path), str(inbox.outbox), inbox.existing) == ("/inbox", "/outbox", "skip")
    assert config.minutes.per_day == 60
    assert str(config.state_dir) == str(config_dir / "state")
    assert [warning for warning in config.warnings if "license_key_file" not in warning] == []


def test_the_page_is_there_as_soon_as_it_has_a_password(config_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert prepared(config_dir)[0].web.listen is None
    assert "LALALD_WEB_PASSWORD" in next(line for line in capfd.readouterr().err.splitlines() if "page.off" in line)
    config, _ = prepared(config_dir, LALALD_WEB_PASSWORD="correct horse battery", LALALD_WEB_HOSTS="music.example.org")
    assert (config.web.listen, config.web.hosts) == ("0.0.0.0:8910", ("music.example.org",))
    assert "correct horse" not in (config_dir / "default.yaml").read_text()
    config, _ = prepared(config_dir, LALALD_WEB_AUTH="none")
    assert (config.web.listen, config.web.auth) == ("0.0.0.0:8910", "none")


def test_an_unknown_variable_is_a_warning_with_the_nearest_known_one(config_dir: Path) -> None:
    config, _ = prepared(config_dir, LALALD_MINUTES_PERDAY="60")
    (warning,) = config.warnings
    assert (
        'LALALD_MINUTES_PERDAY: is not a variable of lalald and has no effect. Did you mean "LALALD_MINUTES_PER_DAY"?'
        in warning
    )


def test_a_second_start_writes_nothing_and_another_mode_does(config_dir: Path) -> None:
    prepared(config_dir)
    before = (config_dir / "default.yaml").stat()
    prepared(config_dir)
    assert (config_dir / "default.yaml").stat() == before
    config, _ = prepared(config_dir, LALALD_MODE="demuser")
    assert config.inboxes[0].rules[0].tasks[0].mode == "demuser"
    assert tree(config_dir) == ["default.yaml"]


def test_config_yaml_is_used_and_ignored_variables_are_reported(
    config_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (config_dir / "config.yaml").write_text("inboxes: [{path: /in, outbox: /out, rules: [{mode: demuser}]}]\n")
    config, path = prepared(config_dir, LALALD_MODE="voice_clean")
    assert path == str(config_dir / "config.yaml")
    assert config.inboxes[0].rules[0].tasks[0].mode == "demuser"
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(
        r"[-0-9]{10} [:0-9]{8} container\.variables_unused +variables=LALALD_MODE  warning: .*config\.yaml is used instead",
        line,
    )
    assert tree(config_dir) == ["config.yaml"]


@pytest.mark.parametrize("written", ["log: {format: json}\n", ""])
def test_a_log_in_json_is_chosen_by_the_configuration_or_a_variable(
    config_dir: Path, capfd: pytest.CaptureFixture[str], written: str
) -> None:
    (config_dir / "config.yaml").write_text(
        f"{written}inboxes: [{{path: /in, outbox: /out, rules: [{{mode: demuser}}]}}]\n"
    )
    prepared(config_dir, LALALD_MODE="voice_clean", **({} if written else {"LALALD_LOG_FORMAT": "json"}))
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["variables"]) == ("container.variables_unused", ["LALALD_MODE"])


# what would be deleted with the container

MOUNTS = """\
22 1 0:20 / / rw - overlay overlay rw
23 22 8:1 /a /config rw - ext4 /dev/sda1 rw
24 22 8:1 /b /inbox rw - ext4 /dev/sda1 rw
25 22 0:30 / /memory rw - tmpfs tmpfs rw
"""


def mountinfo(folder: Path, table: str = MOUNTS) -> Path:
    path = folder / "mountinfo"
    path.write_text(table)
    return path


def test_state_on_a_volume_is_accepted(tmp_path: Path) -> None:
    volumes.refuse_to_lose_state(Path("/config/state"), mountinfo(tmp_path))


@pytest.mark.parametrize(
    ("folder", "words"), [("/state", "is inside the container"), ("/memory/state", "is in memory")]
)
def test_state_inside_the_container_is_refused(folder: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{folder} {words}.* paid for again") as refused:
        volumes.refuse_to_lose_state(Path(folder), mountinfo(tmp_path))
    assert "LALALD_EPHEMERAL=1" in refused.value.hint


def inbox_with(folder: Path, **places: Path) -> Config:
    found = {name: folder / name for name in ("path", "outbox")} | places
    rule = Rule("all", (TaskSpec("demuser"),))
    inbox = Inbox(done_dir=found["path"] / "done", failed_dir=found["path"] / "failed", rules=(rule,), **found)
    return Config(path=folder, state_dir=folder, inboxes=(inbox,))


def test_results_inside_the_container_are_refused(tmp_path: Path) -> None:
    for name in ("path", "outbox"):
        (tmp_path / name).mkdir()
    config = inbox_with(tmp_path)
    table = f"{MOUNTS}26 22 8:1 /c {tmp_path}/path rw - ext4 /dev/sda1 rw\n"
    with pytest.raises(ConfigError, match=f"{tmp_path}/outbox .an outbox. is inside the container"):
        volumes.refuse_to_lose_results(config, mountinfo(tmp_path, table))
    table += f"27 22 8:1 /c {tmp_path}/outbox rw - ext4 /dev/sda1 rw\n"
    volumes.refuse_to_lose_results(config, mountinfo(tmp_path, table))


def test_a_missing_folder_is_left_to_the_daemon_to_report(tmp_path: Path) -> None:
    volumes.refuse_to_lose_results(inbox_with(tmp_path), mountinfo(tmp_path))


def test_a_folder_that_cannot_be_written_is_reported_with_the_user(open_folder: Path) -> None:
    for name in ("path", "outbox"):
        (open_folder / name).mkdir(mode=0o755)
    (open_folder / "outbox").chmod(0o555)
    script = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from lalald.container import volumes
from tests.container.test_container import inbox_with
config = inbox_with(Path({str(open_folder)!r}))
{BECOME_NOBODY}
for found in volumes.unwritable(config):
    print(found.folder, found.reason)
"""
    said = run(script)
    user = NOBODY if is_root else os.getuid()
    group = NOBODY if is_root else os.getgid()
    owner = f"it belongs to {os.getuid()}:{os.getgid()}, mode"
    may_not = f"uid {user}, gid {group} may not write it: {owner}"
    expected = [f"{open_folder}/path {may_not} 755"] if is_root else []
    assert said.stdout.splitlines() == [*expected, f"{open_folder}/outbox {may_not} 555"], said.stderr


# the whole


def test_a_container_processes_a_file_and_ends_at_sigterm(tmp_path: Path, config_dir: Path, sandbox: Sandbox) -> None:
    inbox, outbox = tmp_path / "inbox", tmp_path / "outbox"
    for folder in (inbox, outbox):
        folder.mkdir()
    (config_dir / "config.yaml").write_text(
        f"inboxes: [{{path: {inbox}, outbox: {outbox}, settle: 0s, rules: [{{mode: demuser}}]}}]\n"
    )
    (tmp_path / "key").write_text("a-key\n")
    environ = {
        "LALALD_API_URL": sandbox.url, "LALALD_LICENSE_KEY_FILE": str(tmp_path / "key"), "LALALD_EPHEMERAL": "1",
        "UMASK": "027",
    }  # fmt: skip
    assert run(PROGRAM, str(config_dir), "health", environ=environ).returncode == 3
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(config_dir), "run"], env=environment(environ), stderr=log
        )
    try:
        write_wav(inbox / "song.wav")
        until((inbox / "done" / "song.wav").exists, "the song is processed")
        assert run(PROGRAM, str(config_dir), "health", environ=environ).returncode == 0
        assert run(PROGRAM, str(config_dir), "status", environ=environ).returncode == 0
        assert "pydantic" not in Path(f"/proc/{daemon.pid}/maps").read_text(), "what reads a configuration stays loaded"
    finally:
        daemon.terminate()
    assert daemon.wait(20) == 0
    assert tree(outbox) == ["song/music.wav", "song/no_music.wav"]
    assert (outbox / "song" / "music.wav").stat().st_mode & 0o777 == 0o640
    assert (config_dir / "state").stat().st_mode & 0o777 == 0o700


def test_a_command_before_the_first_start_knows_the_default_configuration(config_dir: Path) -> None:
    output = run(
        PROGRAM, str(config_dir), "check-config", environ={"LALALD_STEM": "drum", "LALALD_LICENSE_KEY": "a-key"}
    )
    assert (
        f"{config_dir}/default.yaml: " in output.stdout + output.stderr
    )  # what it says of it is about /inbox and /outbox
    assert '"stem": "drum"' in (config_dir / "default.yaml").read_text()


def test_a_container_without_a_volume_does_not_start(config_dir: Path) -> None:
    if volumes.mounts.mount_of(config_dir).point != "/":
        pytest.skip("the tests' own folder is a mount")
    ended = run(PROGRAM, str(config_dir), "run")
    assert ended.returncode == 2
    assert re.match(r"lalald: \S+/state is inside the container: .*\n  mount a folder", ended.stderr)
    assert tree(config_dir) == []


# the image


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_dockerfile_has_the_documented_properties() -> None:
    said = instructions()
    bases = [value.split(" AS ")[0] for name, value in said if name == "FROM"]
    assert len(bases) == 2
    assert set(bases) == {"python:3.13-slim"}
    final = dict(said[max(place for place, (name, _) in enumerate(said) if name == "FROM") :])
    assert json.loads(final["ENTRYPOINT"]) == ["lalald"]
    assert json.loads(final["CMD"]) == ["run"]
    assert re.fullmatch(r'(--\w+(-\w+)*=\w+ )+CMD \["lalald", "health"\]', final["HEALTHCHECK"])
    assert not {"VOLUME", "USER", "SHELL", "ADD"} & {name for name, _ in said}
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', final["LABEL"]))
    assert labels["version"] == __version__
    assert labels["licenses"] == "MIT"
    assert labels["base.name"] == f"docker.io/library/{bases[0]}"
