"""A first process reaps orphans, and never its own children."""

from __future__ import annotations

import subprocess
import sys

# A subreaper inherits orphans as the first process of a container does; prctl(2).
PROGRAM = """
import asyncio, ctypes, subprocess, sys, time
from lalald.daemon.process.orphans import Orphans, _ended_children
ctypes.CDLL(None).prctl(36, 1)

async def main():
    Orphans(own_seconds=0.2).start(asyncio.get_running_loop())
    left = subprocess.run(["sh", "-c", "sleep 0.05 & echo $!"], capture_output=True, text=True, check=True)
    own = await asyncio.create_subprocess_exec("sh", "-c", "exit 7")
    assert await own.wait() == 7
    blocking = subprocess.Popen(["sh", "-c", "exit 9"])
    assert await asyncio.to_thread(blocking.wait) == 9
    orphan = int(left.stdout)
    while True:
        await asyncio.sleep(0.02)
        try:
            open(f"/proc/{orphan}/stat").close()
        except FileNotFoundError:
            break
    assert not list(_ended_children())
    print("reaped")

asyncio.run(asyncio.wait_for(main(), 20))
"""


def test_an_orphan_is_reaped_and_own_children_keep_their_exit_codes() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == ("reaped\n", "")
