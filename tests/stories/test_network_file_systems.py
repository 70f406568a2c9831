"""The real program on network file systems: what is refused, what is warned about, and what is waited for."""

from __future__ import annotations

import errno
import signal
import subprocess
from pathlib import Path

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support import SUPPORT
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts
from tests.support.running import Home, tree, until, write_wav

_NFS_AT = """
under=$(awk -v place="$0/" '{ point = $5 == "/" ? "/" : $5 "/" } index(place, point) == 1 && length(point) >= longest {
    longest = length(point); id = $1 } END { print id }' /proc/self/mountinfo)
sed "\\$ a 9999 $under 0:99 / $0 rw - nfs4 server:/export rw" /proc/self/mountinfo > "$1"
mount -t tmpfs none /proc && mkdir /proc/self && cp "$1" /proc/self/mountinfo && shift && exec "$@"
"""  # one table for all processes: the configuration is read by one of its own


def test_a_state_folder_on_a_network_file_system_is_refused_before_anything_happens(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox:
            home = Home(tmp_path, sandbox.url)
            home.state.mkdir()
            home.through = ("sh", "-c", _NFS_AT, str(home.state), str(tmp_path / "mountinfo"))
            write_wav(home.inbox / "ep1.wav")
            for command in ("run", "check-config"):
                refused = home.command(command)
                assert refused.returncode == 2
                assert f"state_dir: {home.state} is on nfs4, where a database is not safe" in refused.stderr
                assert "choose a folder on a local disk" in refused.stderr
            assert tree(home.state) == []
            assert tree(home.inbox) == ["ep1.wav"]
            assert sandbox.state()["counts"] == {}

    in_own_mounts(story)


def test_a_state_folder_on_fuse_is_warned_of_and_works(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox, Share(tmp_path / "state"):
            home = Home(tmp_path, sandbox.url)
            assert "is on fuse.share" in home.command("check-config").stdout
            home.start()
            (warning,) = home.logged("config.warning")
            assert "is on fuse.share, where a database may not be safe" in warning["reason"]
            write_wav(home.inbox / "ep1.wav")
            home.rest()
            home.kill()
            write_wav(home.inbox / "ep2.wav", pitch=300)
            home.start()
            until(lambda: tree(home.inbox) == ["done/ep1.wav", "done/ep2.wav"], "it continues with what it knew")
            home.stop()
            assert len(sandbox.state()["charges"]) == 2

    in_own_mounts(story)


def test_a_reload_from_a_share_that_does_not_answer_keeps_the_old_configuration(tmp_path: Path) -> None:
    def story() -> None:
        with Sandbox(Options()) as sandbox, Share(tmp_path / "share") as share:
            home = Home(tmp_path, sandbox.url)
            home.config = tmp_path / "share" / "config.yaml"
            home.write_config()
            home.daemon = (str(SUPPORT / "fast_loop.py"), str(home.config))
            process = home.start()
            share.stop_answering()
            process.send_signal(signal.SIGHUP)
            until(lambda: home.logged("config.rejected") or process.poll() is not None, "it is abandoned")
            (kept,) = home.logged("config.rejected")
            assert f"The folder {tmp_path / 'share'} has not answered for" in kept["reason"]
            write_wav(home.inbox / "ep1.wav")
            until((home.inbox / "done" / "ep1.wav").exists, "other jobs resume")
            share.answer()
            until(lambda: reloaded(home, process), "it is read once the share is back")
            home.stop()

    in_own_mounts(story)


def reloaded(home: Home, process: subprocess.Popen[bytes]) -> bool:
    """Whether the configuration was read; requested again until then, as a user would."""
    process.send_signal(signal.SIGHUP)
    return bool(home.logged("config.reloaded"))


def test_a_silent_inbox_that_a_reload_leaves_out_ends_nothing(tmp_path: Path) -> None:
    """Its first scan is still running when it is no longer configured, and ends some time later."""

    def story() -> None:
        with Sandbox(Options()) as sandbox, Share(tmp_path / "share") as share:
            home = Home(tmp_path, sandbox.url)
            (inbox,) = home.settings["inboxes"]
            home.settings["inboxes"] = [inbox, {**inbox, "path": str(tmp_path / "share")}]
            home.write_config()
            share.stop_answering()
            home.start()
            assert home.logged("inbox.first_scan_delayed")[0]["inboxes"] == [str(tmp_path / "share")]
            home.settings["inboxes"] = [inbox]
            home.write_config()
            assert home.process is not None
            home.process.send_signal(signal.SIGHUP)
            until(lambda: home.logged("config.reloaded"), "the new configuration is used")
            share.answer()
            write_wav(home.inbox / "a.wav")
            assert [job["state"] for job in home.rest()] == ["done"]
            assert home.stop() == 0

    in_own_mounts(story)


def test_a_state_disk_that_fails_for_moments_is_waited_for_and_not_called_damaged(tmp_path: Path) -> None:
    """SQLite itself takes a database for damaged where it could not read back what it failed to write."""

    def story() -> None:
        with Sandbox(Options(checks_per_minute=600)) as sandbox, Share(tmp_path / "state") as share:
            home = Home(tmp_path, sandbox.url, checks_per_minute=600)
            process = home.start()
            names = [f"ep{number}.wav" for number in range(2)]
            for pitch, name in enumerate(names, 200):
                written = len(home.logged("store.not_written"))
                share.fail(errno.EIO, "read", "write", "fsync")
                write_wav(home.inbox / name, 0.1, pitch=pitch)
                until(lambda written=written: len(home.logged("store.not_written")) > written, "it wants to write")  # type: ignore[misc] # bound here
                share.answer()
                until(lambda: len(home.logged("store.recovered")) > written, "it can")  # noqa: B023 - at once
                assert process.poll() is None, "it resumes"
            until(lambda: tree(home.inbox) == sorted(f"done/{name}" for name in names), "all is processed")
            assert len(sandbox.state()["charges"]) == len(names)
            assert home.stop() == 0

    in_own_mounts(story)
