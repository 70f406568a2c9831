"""The real daemon tells people: webhooks that the reference library verifies, and commands, beside real jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.running import Home, until, write_wav


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(is_signed=True) as found:
        yield found


def hook(receiver: Receiver, folder: Path, **settings: Any) -> dict[str, Any]:
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    return {"name": "pipeline", "webhook": receiver.url, "secret_file": str(secret), "on": "all", **settings}


def test_a_delivery_is_told_at_once_signed_and_without_a_signed_link(tmp_path: Path, receiver: Receiver) -> None:
    with Sandbox(Options(processing_seconds=0.1)) as sandbox:
        home = Home(tmp_path, sandbox.url, notify=[hook(receiver, tmp_path)])
        home.start()
        write_wav(home.inbox / "song.wav")
        until(lambda: "job.done" in receiver.kinds, "the delivery is told")
        home.stop()
    assert receiver.kinds == ["daemon.started", "job.done"]
    assert receiver.faults == []
    done = receiver.requests[-1].json
    assert done["data"]["job"]["path"] == "song.wav"
    assert done["data"]["output"] == str(home.outbox / "song")
    assert {Path(track["path"]).name for track in done["data"]["tracks"]} == {"vocals.wav", "no_vocals.wav"}
    assert all(Path(track["path"]).exists() for track in done["data"]["tracks"])
    assert "http" not in receiver.requests[-1].body.decode()
    assert "cookie" not in receiver.requests[-1].headers
    assert "a-key" not in str([(dict(request.headers), request.body) for request in receiver.requests])
