"""The license key appears in no log, row, report, argument or dump, and is sent to no other origin."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.raw_server import RawServer, Talk
from tests.support.running import Home, until, write_wav

KEY = "k3y-that-NOBODY-may-see"
TRACK = b"a track of another origin"


class Elsewhere:
    """Another origin, which redirects once before it gives a track, and remembers what it was asked."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    def __call__(self, talk: Talk) -> None:
        while head := talk.request()[0]:
            self.heads.append(head)
            if b"GET /first" in head:
                talk.say("HTTP/1.1 302 Found\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n")
            else:
                talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(TRACK)}\r\n\r\n", TRACK)


def test_the_key_is_nowhere_but_in_the_services_requests(sandbox: Sandbox, make_home: MakeHome) -> None:
    elsewhere = Elsewhere()
    with RawServer(elsewhere) as other:
        home = make_home(sandbox.url, log={"level": "debug"})
        process = home.start(environ={"LALALD_LICENSE_KEY": KEY, "PYTHONFAULTHANDLER": "1"})
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        _good_and_bad_days(home, sandbox, other.url)
        outputs = [_told(home, *words) for words in (["status"], ["show", "2"], ["jobs"])]
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert home.stop(signal.SIGABRT) == -signal.SIGABRT
    assert b"Fatal Python error: Aborted" in home.log.read_bytes(), "the crash has left its dump"
    written = {str(path): path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    assert any(path.endswith("failed/2.wav.error.txt") for path in written)
    said = {
        **written,
        "commands": "".join(outputs).encode(),
        "arguments": arguments,
        "elsewhere": b"".join(elsewhere.heads),
    }
    assert [place for place, content in said.items() if KEY.encode() in content] == []
    assert b"license" not in said["elsewhere"].lower()
    assert b"GET /second" in said["elsewhere"]
    assert b"POST" not in said["elsewhere"], "no redirect is followed with a request of the API"


def _good_and_bad_days(home: Home, sandbox: Sandbox, other: str) -> None:
    """A delivery, a redirect of the API, trouble of every kind, a failure whose words hold the key, and a refused license."""
    track = {"url": f"{other}/first", "size": None}
    sandbox.faults(
        f"upload:redirect,url={other}/upload", "upload:reset_during", "check:html,status=502",
        {"operation": "check", "kind": "label", "track": track, "only": "vocals", "count": 0},
    )  # fmt: skip
    write_wav(home.inbox / "1.wav", pitch=100)
    until((home.inbox / "done" / "1.wav").exists, "the first is delivered")
    assert (home.outbox / "1" / "vocals.wav").read_bytes() == TRACK
    sandbox.faults(f"upload:400,detail=The key {KEY} may not send this.")
    write_wav(home.inbox / "2.wav", pitch=200)
    until((home.inbox / "failed" / "2.wav").exists, "the second is refused")
    sandbox.faults("split:503,detail=down")
    sandbox.set_keys("another")
    write_wav(home.inbox / "3.wav", pitch=300)
    until(lambda: home.logged("job.held"), "the license is refused")


def _told(home: Home, *words: str) -> str:
    answers = [home.command(*words, *more, environ={"LALALD_LICENSE_KEY": KEY}) for more in ([], ["--json"])]
    assert all(answer.returncode in (0, 1) for answer in answers)
    return "".join(answer.stdout + answer.stderr for answer in answers)
