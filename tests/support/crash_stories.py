"""A file's way from drop to end, during which the real daemon is killed once by `crash_points.py`, and the checks at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

from lalald.errors import StoreError
from lalald.jobs.states import State
from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from lalald.store.queries import Reports
from tests.conftest import MakeHome
from tests.support.private_mounts import mount_disk
from tests.support.random_kills import DELIVERED, RULE, check_the_end
from tests.support.running import Home, tree, until, write_wav

QUEUE_SECONDS = (
    1000.0  # while a task waits in the queue its key gives its id again; the sandbox's clock is turned on then
)


@dataclass(frozen=True)
class Story:
    """A file from its drop to its end, during which the daemon is killed once. `before`: what has happened already."""

    end: Callable[[Home, Sandbox, bytes], None]
    inbox: Mapping[str, Any] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=lambda: RULE)
    before: Callable[[Home, Sandbox], None] | None = None
    code: int = 0
    disks: Collection[str] = ()  # folders of the home that are disks of their own, so that files must be copied
    filing: str = "done_dir"  # what the disk `elsewhere` is for


def delivered(home: Home, sandbox: Sandbox, content: bytes) -> None:
    check_the_end(home, sandbox, {"ep1": content})


def deleted(home: Home, sandbox: Sandbox, _content: bytes) -> None:
    assert tree(home.inbox) == []
    assert tree(home.outbox) == sorted(f"ep1/{path}" for path in (*DELIVERED, "lalald.json"))
    assert (home.outbox / "ep1" / "lalald.json").read_bytes() != b"old"
    assert len(sandbox.state()["charges"]) == 2


def failed(home: Home, sandbox: Sandbox, content: bytes) -> None:
    assert tree(home.inbox) == ["failed/ep1.wav", "failed/ep1.wav.error.txt"]
    assert (home.inbox / "failed" / "ep1.wav").read_bytes() == content
    _half_delivered(home, sandbox)


def failed_elsewhere(home: Home, sandbox: Sandbox, content: bytes) -> None:
    assert tree(home.inbox) == []
    assert tree(home.root / "elsewhere") == ["ep1.wav", "ep1.wav.error.txt"]
    assert (home.root / "elsewhere" / "ep1.wav").read_bytes() == content
    _half_delivered(home, sandbox)


def _half_delivered(home: Home, sandbox: Sandbox) -> None:
    (task,) = {
        path.split("/")[1] for path in tree(home.outbox)
    }  # the other one, whichever was started first, has failed
    assert tree(home.outbox) == [f"ep1/{path}" for path in sorted(DELIVERED) if path.startswith(task)]
    assert len(sandbox.state()["charges"]) == 2


def released(home: Home, sandbox: Sandbox, content: bytes) -> None:
    check_the_end(home, sandbox, {"ep1": content})
    assert sandbox.state()["counts"]["upload"] == 1


def retried(home: Home, sandbox: Sandbox, content: bytes) -> None:
    assert tree(home.inbox) == ["done/ep1.wav"]
    assert (home.inbox / "done" / "ep1.wav").read_bytes() == content
    assert tree(home.outbox) == sorted(f"ep1/{path}" for path in (*DELIVERED, "lalald.json"))
    assert len(sandbox.state()["charges"]) == 3, "the one that failed is paid again on request"


def redone(home: Home, sandbox: Sandbox, _content: bytes) -> None:
    assert tree(home.inbox) == ["done/ep1.wav"]
    copies = [f"{name}/{path}" for name in ("ep1", "ep1 (2)") for path in (*DELIVERED, "lalald.json")]
    assert tree(home.outbox) == sorted(copies)
    assert len(sandbox.state()["charges"]) == 4, "paid again on request, and once"


def accepted(home: Home, sandbox: Sandbox, _content: bytes) -> None:
    assert tree(home.inbox) == ["done/ep1.wav", "done/ep2.wav"]
    assert tree(home.outbox) == sorted(f"ep2/{path}" for path in (*DELIVERED, "lalald.json"))
    assert len(sandbox.state()["charges"]) == 4


def delivered_with_a_duplicate(home: Home, sandbox: Sandbox, _content: bytes) -> None:
    names = ["ep1", *(name for name, _ in OTHERS)]
    assert tree(home.outbox) == sorted(f"{name}/{label}.wav" for name in names for label in ("no_voice", "voice"))
    assert tree(home.inbox) == sorted(f"done/{name}.wav" for name in names)
    assert len(sandbox.state()["charges"]) == len(names) - 1, "the twin costs nothing"


def fetched_again(home: Home, sandbox: Sandbox, _content: bytes) -> None:
    assert tree(home.inbox) == ["done/ep1.wav"]
    assert tree(home.outbox) == sorted(f"ep1/{path}" for path in (*DELIVERED, "lalald.json"))
    assert (len(sandbox.state()["charges"]), sandbox.state()["counts"]["upload"]) == (2, 1), (
        "what was paid is fetched again"
    )


def _taken_away(home: Home, sandbox: Sandbox) -> None:
    """The results have left the outbox, and the file is dropped once more."""
    assert carried(home, sandbox, ["-m", "lalald", "run", "--once"]) == 0
    rmtree(home.outbox / "ep1")
    (home.inbox / "done" / "ep1.wav").rename(home.inbox / "ep1.wav")


def _others(home: Home, _sandbox: Sandbox) -> None:
    for name, pitch in OTHERS:
        write_wav(home.inbox / f"{name}.wav", pitch=pitch)


def _old_results(home: Home, _sandbox: Sandbox) -> None:
    for path in (*DELIVERED, "lalald.json"):
        old = home.outbox / "ep1" / path
        old.parent.mkdir(parents=True, exist_ok=True)
        old.write_bytes(b"old")


def _a_failing_task(_home: Home, sandbox: Sandbox) -> None:
    sandbox.faults({"operation": "split", "kind": "task_error", "after": 1})


def _held_for_minutes(home: Home, sandbox: Sandbox) -> None:
    sandbox.faults("split:400*0,code=exceeded_duration")
    assert home.command("run", "--once").returncode == 1
    sandbox.faults()
    assert home.command("release", "1").returncode == 0


def _asked_to_retry(home: Home, sandbox: Sandbox) -> None:
    _a_failing_task(home, sandbox)
    assert carried(home, sandbox, ["-m", "lalald", "run", "--once"]) == 1
    assert home.command("retry", "1").returncode == 0


def _asked_to_redo(home: Home, sandbox: Sandbox) -> None:
    assert carried(home, sandbox, ["-m", "lalald", "run", "--once"]) == 0
    assert home.command("redo", "1").returncode == 0


def _asked_to_accept(home: Home, sandbox: Sandbox) -> None:
    """Another folder stands at the outbox's place."""
    assert carried(home, sandbox, ["-m", "lalald", "run", "--once"]) == 0
    home.outbox.rename(home.root / "the former outbox")
    home.outbox.mkdir()
    write_wav(home.inbox / "ep2.wav", pitch=300)
    assert home.command("release", str(home.outbox)).returncode == 0


OTHERS = [("ep2", 300), ("ep3", 400), ("twin of ep1", 220)]  # and their pitches; ep1's is 220
STORIES = {
    "delivered": Story(delivered),
    "deleted": Story(deleted, {"on_success": "delete"}, {**RULE, "on_conflict": "overwrite"}, _old_results),
    "batched": Story(delivered_with_a_duplicate, rule={"name": "clean", "mode": "voice_clean"}, before=_others),
    "failed": Story(failed, before=_a_failing_task, code=1),
    "delivered elsewhere": Story(delivered, disks=["outbox", "outbox/ep1/band", "elsewhere"]),
    "failed elsewhere": Story(
        failed_elsewhere, before=_a_failing_task, code=1, disks=["elsewhere"], filing="failed_dir"
    ),
    "released": Story(released, before=_held_for_minutes),
    "retried": Story(retried, before=_asked_to_retry),
    "redone": Story(redone, before=_asked_to_redo),
    "fetched again": Story(fetched_again, before=_taken_away),
    "accepted": Story(accepted, before=_asked_to_accept),
}


def carried(home: Home, sandbox: Sandbox, command: list[str]) -> int:
    """The exit code of a daemon that carries everything to its end; tasks leave the queue once their ids are known."""
    passed: set[str] = set()
    with subprocess.Popen([sys.executable, *command], env=home.environ, stderr=subprocess.PIPE) as process:

        def ended() -> bool:
            started = started_tasks(home)
            if not started <= passed:
                passed.update(started)
                sandbox.advance(QUEUE_SECONDS)
            return process.poll() is not None

        try:
            until(ended, "the daemon ended", 120, pause_seconds=0.06)  # each look opens the database
        finally:
            process.kill()
        return process.returncode


def started_tasks(home: Home) -> set[str]:
    """The ids of all tasks that are to be started; none while one of them is missing."""
    try:
        with Reports.open(home.state) as reports:
            tasks = [task for report in reports.jobs() for task in report.job.tasks if report.job.duplicate_of is None]
    except StoreError:
        return set()  # it is not there yet
    found = {task.task_id for task in tasks if task.task_id}
    return found if len(found) == len(tasks) else set()


def killed(story: Story, moment: str, number: int, make_home: MakeHome) -> int:
    """Tells the story with a kill in it, and looks at its end. The exit code of the daemon that was to be killed."""
    with Sandbox(Options(queue_seconds=QUEUE_SECONDS, checks_per_minute=6000)) as sandbox:
        home = make_home(
            sandbox.url, [dict(story.rule)], checks_per_minute=6000, inbox={"existing": "take", **story.inbox}
        )
        for folder in story.disks:
            mount_disk(home.root / folder, "40m")
            if folder == "elsewhere":
                home.settings["inboxes"][0][story.filing] = str(home.root / folder)
                home.write_config()
        content = write_wav(home.inbox / "ep1.wav")
        if story.before:
            story.before(home, sandbox)
        dying = str(Path(__file__).with_name("crash_points.py"))
        died = carried(home, sandbox, [dying, str(home.config), moment, str(number)])
        assert died in (-signal.SIGKILL, story.code)
        assert carried(home, sandbox, ["-m", "lalald", "run", "--once"]) in {story.code, 0}
        story.end(home, sandbox, content)
        assert not (home.outbox / ".lalald-staging").exists(), "nothing is left in staging"
        assert [*home.root.rglob(".lalald-try-*")] == [], "nothing is left of a trial"
        with Reports.open(home.state) as reports:
            assert reports.count(states=(State.WAITING, State.HELD)) == 0
    return died
