"""The real program without free inotify watches: it reports that, and still finds every file once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.inbox.test_native_watch import needs_namespaces
from tests.support.running import Home, tree, until, write_wav

FOLDERS = 16


def with_few(home: Home, *, watches: int, instances: int = 10) -> Home:
    """A user namespace has limits of its own."""
    limits = {"watches": watches, "instances": instances}
    words = [f"echo {most} > /proc/sys/user/max_inotify_{what}" for what, most in limits.items()]
    script = f'{" && ".join(words)} && exec "$@"'
    home.through = ("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")
    return home


def all_carried(home: Home, sandbox: Sandbox, names: Sequence[str]) -> None:
    until(lambda: tree(home.inbox) == sorted(f"done/{name}" for name in names), "all is processed")
    assert len(sandbox.state()["charges"]) == len(names)


def is_polled(home: Home, sysctl: str) -> None:
    """Said once in the log, with what to do, and all the time in `status`."""
    (said,) = home.logged("inbox.native_watching_refused")
    assert sysctl in said["reason"]
    assert f"sysctl {sysctl}=" in said["hint"]
    (watched,) = (line for line in home.command("status").stdout.splitlines() if "polling" in line)
    assert f"the limit of {sysctl} is reached" in watched


def test_watches_that_run_out_while_it_runs_lose_no_file(sandbox: Sandbox, make_home: MakeHome) -> None:
    needs_namespaces()
    home = with_few(make_home(sandbox.url, inbox={"poll_interval": "1s"}), watches=FOLDERS)
    home.start()
    assert home.logged("inbox.watched")[-1]["watch"] == "native"
    names = [f"{number}/ep.wav" for number in range(FOLDERS)]
    for number, name in enumerate(names):
        write_wav(home.inbox / name, 0.1, pitch=200 + number)
    all_carried(home, sandbox, names)
    home.command("rescan")  # which tries once more
    write_wav(home.inbox / "late" / "ep.wav", 0.1, pitch=500)
    all_carried(home, sandbox, [*names, "late/ep.wav"])
    is_polled(home, "fs.inotify.max_user_watches")
    assert home.stop() == 0


def test_without_a_single_watch_it_polls_from_the_start(sandbox: Sandbox, make_home: MakeHome) -> None:
    needs_namespaces()
    home = with_few(make_home(sandbox.url, inbox={"poll_interval": "1s"}), watches=10, instances=0)
    home.start()
    write_wav(home.inbox / "ep1.wav")
    all_carried(home, sandbox, ["ep1.wav"])
    is_polled(home, "fs.inotify.max_user_instances")


def test_a_burst_beyond_the_kernels_queue_loses_no_file(sandbox: Sandbox, make_home: MakeHome) -> None:
    home = make_home(sandbox.url)
    process = home.start()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    process.send_signal(signal.SIGSTOP)
    script = (
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "open('1.tmpfile', 'w').close()\n"
        "for _ in range(int(sys.argv[2])): os.rename('1.tmpfile', '2.tmpfile'); os.rename('2.tmpfile', '1.tmpfile')\n"
        "os.unlink('1.tmpfile')"
    )
    subprocess.run([sys.executable, "-S", "-E", "-c", script, str(home.inbox), str(most // 2)], check=True)
    names = [f"ep{number}.wav" for number in range(10)]
    for number, name in enumerate(names):
        write_wav(home.inbox / name, 0.1, pitch=200 + number)
    process.send_signal(signal.SIGCONT)
    all_carried(home, sandbox, names)
    (lost,) = home.logged("inbox.events_lost")
    assert lost["reason"] == "the whole inbox is scanned instead"
    assert home.stop() == 0
