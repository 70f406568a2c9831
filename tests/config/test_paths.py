"""Where the file is found, what the environment overrides, and which paths are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.config import Log, find
from lalald.config.yaml.source_text import read_text
from lalald.errors import ConfigError, FolderUnavailableError
from tests.support.config_files import CONTRACT, ONE_RULE, loaded, mistakes, with_inbox
from tests.support.private_mounts import dead_mount, in_own_mounts


def test_the_file_is_searched_in_the_documented_order(tmp_path: Path) -> None:
    named, by_variable, by_xdg, at_home = (tmp_path / name for name in ("a.yaml", "b.yaml", "xdg", "home"))
    (by_xdg / "lalald").mkdir(parents=True)
    (at_home / ".config/lalald").mkdir(parents=True)
    for path in (named, by_variable, by_xdg / "lalald/config.yaml", at_home / ".config/lalald/config.yaml"):
        path.touch()
    environ = {"LALALD_CONFIG": str(by_variable), "XDG_CONFIG_HOME": str(by_xdg), "HOME": str(at_home)}
    assert find(str(named), environ) == named
    assert find(None, environ) == by_variable
    del environ["LALALD_CONFIG"]
    assert find(None, environ) == by_xdg / "lalald/config.yaml"
    assert find(None, environ | {"XDG_CONFIG_HOME": "relative"}) == at_home / ".config/lalald/config.yaml"
    del environ["XDG_CONFIG_HOME"]
    assert find("~/.config/lalald/config.yaml", environ) == at_home / ".config/lalald/config.yaml"
    assert find(None, environ) == at_home / ".config/lalald/config.yaml"


def test_a_configuration_on_a_dead_share_is_an_error_and_no_wait_for_ever(tmp_path: Path) -> None:
    def story() -> None:
        share, local = tmp_path / "share", tmp_path / "config.yaml"
        share.mkdir()
        path = share / "config.yaml"
        local.symlink_to(path)
        with dead_mount(share):
            for named in (path, local):
                with pytest.raises(FolderUnavailableError) as found:
                    find(str(named), {}, 0.1)
                with pytest.raises(FolderUnavailableError) as read:
                    read_text(named, answer_seconds=0.1)
                words = f"{named} cannot be used: its disk or server does not answer"
                assert (str(found.value), str(read.value)) == (words, words)
                assert found.value.hint

    in_own_mounts(story)


def test_a_missing_named_file_is_not_searched_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ".config/lalald"
    home.mkdir(parents=True)
    (home / "config.yaml").touch()
    with pytest.raises(ConfigError, match=rf"--config: there is no file {tmp_path}/none"):
        find(str(tmp_path / "none"), {"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match=rf"LALALD_CONFIG: there is no file {tmp_path}/none"):
        find(None, {"HOME": str(tmp_path), "LALALD_CONFIG": str(tmp_path / "none")})


@pytest.mark.skipif(Path("/etc/lalald/config.yaml").exists(), reason="this machine has a lalald of its own")
def test_without_a_configuration_the_error_lists_the_places_searched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        find(None, {"HOME": str(tmp_path)})
    for place in ("--config", "$LALALD_CONFIG", f"{tmp_path}/.config/lalald/config.yaml", "/etc/lalald/config.yaml"):
        assert place in str(refused.value)
    assert "lalald init" in refused.value.hint


# the environment


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environ = {
        "LALALD_API_URL": "http://localhost:8080/", "LALALD_STATE_DIR": "/elsewhere", "LALALD_LOG_LEVEL": "debug",
        "LALALD_LOG_FORMAT": "json", "STATE_DIRECTORY": "/ignored",
    }  # fmt: skip
    config = loaded(tmp_path, CONTRACT, environ)
    assert (config.api_url, config.state_dir, config.log) == (
        "http://localhost:8080",
        Path("/elsewhere"),
        Log("debug", "json"),
    )


def test_an_empty_variable_overrides_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, CONTRACT, {"LALALD_API_URL": "", "LALALD_LOG_LEVEL": ""}) == loaded(tmp_path, CONTRACT)


def test_an_error_in_a_variable_is_reported_by_the_variable(tmp_path: Path) -> None:
    environ = {"LALALD_LOG_LEVEL": "inof", "LALALD_API_URL": "ftp://x", "LALALD_STATE_DIR": "~nobody-of-this-name/x"}
    assert sorted(line.split(" (")[0] for line in mistakes(tmp_path, ONE_RULE, environ)) == [
        'LALALD_API_URL: expected an address such as https://www.lalal.ai, got "ftp://x"',
        'LALALD_LOG_LEVEL: unknown level "inof"',
        "LALALD_STATE_DIR: ~nobody-of-this-name has no home folder here; write the path in full",
    ]


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/lalald:/var/lib/other", "HOME": "/h"}, "/var/lib/lalald"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/lalald"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/lalald"),
        ({"HOME": "/h"}, "/h/.local/state/lalald"),
    ],
)
def test_the_state_folder_has_a_default(tmp_path: Path, environ: dict[str, str], folder: str) -> None:
    text = ONE_RULE.replace("state_dir: /var/lib/lalald\n", "")
    assert loaded(tmp_path, text, environ).state_dir == Path(folder)


# paths


def test_homes_and_variables_are_filled_in_and_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    text = with_inbox("path: in//x/../y", "outbox: ${MUSIC}/out", "done_dir: ~/done", "failed_dir: $$x/$A$A")
    text += "license_key_file: key\n"
    config = loaded(tmp_path, text, {"MUSIC": "/music", "HOME": "/h", "A": "b"})
    (inbox,) = config.inboxes
    assert inbox.path == tmp_path / "in/y"
    assert inbox.outbox == Path("/music/out")
    assert inbox.done_dir == Path("/h/done")
    assert inbox.failed_dir == tmp_path / "in/y/$x/bb"
    assert config.license_key_file == tmp_path / "key"


def test_a_relative_outbox_is_a_folder_within_the_inbox(tmp_path: Path) -> None:
    (inbox,) = loaded(tmp_path, with_inbox("outbox: results")).inboxes
    assert inbox.outbox == Path("/srv/in/results")


@pytest.mark.parametrize("written", ["$NOWHERE/x", "${NOWHERE}", "${}"])
def test_a_variable_that_is_not_set_is_an_error(tmp_path: Path, written: str) -> None:
    (reported,) = mistakes(tmp_path, with_inbox(f"outbox: {written}"))
    assert "is not set in the environment of lalald" in reported


def test_the_environment_can_name_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    (inbox,) = loaded(tmp_path, with_inbox("outbox: $OUT/x"), {"OUT": "/o\udcff"}).inboxes
    assert inbox.outbox == Path("/o\udcff/x")
