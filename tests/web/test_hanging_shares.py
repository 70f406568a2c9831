"""A share that stops answering delays what is asked of it, and nothing else of the page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.fuse_mount import Share
from tests.support.page_client import PageClient, address_of, logged_in, page_alone, with_page
from tests.support.private_mounts import in_own_mounts
from tests.support.running import Home, write_wav
from tests.web.test_uploads import PIECE, send

INODES_FROM = 2**63 + 2**40


class Answer(threading.Thread):
    """A request whose answer takes its time."""

    def __init__(self, home: Home, client: PageClient, method: str, path: str, **more: object) -> None:
        super().__init__(daemon=True)
        self._request = (home, client.cookies, method, path, more)
        self.response: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        home, cookies, method, path, more = self._request
        with PageClient(address_of(home), cookies=cookies) as client:
            self.response = client.request(method, path, **more)  # type: ignore[arg-type] # passed on

    def end(self) -> httpx.Response:
        self.join(30)
        assert self.response is not None
        return self.response


@contextmanager
def two_inboxes(root: Path) -> Iterator[tuple[Home, PageClient, dict[str, Share]]]:
    """`inbox` and `outbox`, which become shares, and `inbox2` and `outbox2`. A job of each is done."""
    with Sandbox(Options()) as sandbox, ExitStack() as stack:
        home = with_page(Home(root, sandbox.url))
        second = {**home.settings["inboxes"][0], "path": str(root / "inbox2"), "outbox": str(root / "outbox2")}
        for name in ("inbox2", "outbox2"):
            (root / name).mkdir()
        home.settings["inboxes"].append(second)
        home.write_config()
        write_wav(home.inbox / "song.wav")
        write_wav(root / "inbox2" / "other.wav", pitch=330)
        assert home.command("run", "--once").returncode == 0
        shares = {name: Share(root / name, inodes_from=INODES_FROM) for name in ("inbox", "outbox")}
        for share in shares.values():
            share.folder.rename(share.far)
            stack.enter_context(share)
        with page_alone(home), logged_in(home) as client:
            yield home, client, shares


def begin_in(client: PageClient, inbox: Path, path: str, size: int) -> httpx.Response:
    return client.post("/api/uploads", json={"inbox": str(inbox), "path": path, "size": size})


def test_a_hanging_share_delays_only_what_is_asked_of_it(tmp_path: Path) -> None:
    in_own_mounts(lambda: _story(tmp_path))


def _story(root: Path) -> None:
    """Both shares have inode numbers that need 64 bits."""
    with two_inboxes(root) as (home, client, shares):
        _takes_any_inode_number(home, client)
        _tracks_of_a_hanging_outbox(home, client, shares["outbox"])
        _uploads_beside_a_hanging_inbox(home, client, shares["inbox"])


def _takes_any_inode_number(home: Home, client: PageClient) -> None:
    begun = begin_in(client, home.inbox, "large.wav", 5)
    assert begun.status_code == 201, begun.text
    assert send(client, begun.json()["id"], 0, b"12").status_code == 204
    assert send(client, begun.json()["id"], 2, b"345").headers["upload-complete"] == "?1"
    assert (home.inbox / "large.wav").read_bytes() == b"12345"


def _tracks_of_a_hanging_outbox(home: Home, client: PageClient, share: Share) -> None:
    of = {job["inbox"]: job["id"] for job in client.facts("/api/jobs")["jobs"]}
    slow, other = of[str(home.inbox)], of[str(home.root / "inbox2")]
    content = client.get(f"/api/jobs/{slow}/tracks/1").content
    for operations in (("read",), ("getattr",), ()):
        share.stop_answering(*operations)
        names = ["tracks/1", "tracks/1", "results.zip", "results.zip", "tracks/2"]
        waiting = [Answer(home, client, "GET", f"/api/jobs/{slow}/{name}") for name in names]
        head = Answer(home, client, "HEAD", f"/api/jobs/{slow}/tracks/1")
        assert client.get(f"/api/jobs/{other}/tracks/1").status_code == 200
        assert client.get(f"/api/jobs/{other}/results.zip").status_code == 200
        assert client.facts("/api/status")["jobs"]["done"] == 2
        assert {one.response for one in waiting} == {None}
        share.answer()
        assert [one.end().status_code for one in waiting] == [200] * len(waiting)
        assert waiting[0].end().content == content
        assert head.end().status_code == 200


def _uploads_beside_a_hanging_inbox(home: Home, client: PageClient, share: Share) -> None:
    begun, inbox2 = begin_in(client, home.inbox, "slow.wav", 5), home.root / "inbox2"
    assert begun.status_code == 201, begun.text
    share.stop_answering()
    headers = {"Content-Type": PIECE, "Upload-Offset": "0"}
    waiting = [
        Answer(home, client, "PATCH", f"/api/{begun.headers['location']}", content=b"12345", headers=headers),
        Answer(home, client, "GET", "/api/explain", params={"inbox": str(home.inbox), "path": "a.wav"}),
        Answer(home, client, "GET", "/api/plan"),
    ]
    second = begin_in(client, inbox2, "quick.wav", 5)
    assert second.status_code == 201, second.text
    assert send(client, second.json()["id"], 0, b"12345").status_code == 204
    explained = client.get("/api/explain", params={"inbox": str(inbox2), "path": "new.wav"})
    assert explained.json()["taken"]
    assert {one.response for one in waiting} == {None}
    share.answer()
    assert [one.end().status_code for one in waiting] == [204, 200, 200]
