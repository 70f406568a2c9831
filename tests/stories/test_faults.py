"""The service misbehaves, one row per case: what is done wrong, and how the file must end.

Every row checks all of it: the service's own ledger (a task is never charged twice), the outbox (whole or empty), the
staging folder (empty), the source file (where it belongs), the remote source (deleted once delivered), the log (said once).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lalald.errors import ServiceError
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Stage, State
from lalald.sandbox.options import Options
from lalald.sandbox.service.tracks import track_bytes
from tests.support.running import tree
from tests.support.worker_driver import HURRIED, KEY, PATIENT, PLENTY, VOCALS, WorkerDriver, run

QUEUE_SECONDS = 1000.0
MULTISTEM = (("multistem", {"stem_list": ["drum"]}),)
VOICE = (("change_voice", {"voice_pack_id": "ALEX_KAYE"}),)
LABELS = {
    "stem_separator": ["no_vocals", "vocals"],
    "multistem": ["drum", "no_multistem"],
    "change_voice": ["converted_mix"],
}


@dataclass(frozen=True)
class End:
    """How a file ends: its state, its hold, and what the row says of it."""

    state: State
    hold: Hold | None = None
    says: str = ""
    charges: int = 1


DELIVERED = End(State.DONE)
LEFT = End(State.DONE)  # delivered; on the service the source expires in time
WARNED = End(State.DONE, says="could not be deleted from the service")
LOST = End(State.HELD, Hold.LOST_TASK, "was started and charged, but its id never reached lalald")


def failed(says: str, charges: int = 0) -> End:
    return End(State.FAILED, says=says, charges=charges)


def held(hold: Hold, says: str, charges: int = 0) -> End:
    return End(State.HELD, hold, says, charges)


@dataclass(frozen=True)
class Row:
    """`faults` are the sandbox's, one after the other; `queued`: tasks wait until their key was sent twice."""

    faults: tuple[str | Mapping[str, Any], ...]
    end: End
    asked: tuple[tuple[str, Mapping[str, Any]], ...] = VOCALS
    files: tuple[str, ...] = ("ep1.wav",)
    queued: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    others: End = DELIVERED  # of the files but the first

    def __str__(self) -> str:
        modes = "" if self.asked is VOCALS else f" {self.asked[0][0]}"
        several = f" x{len(self.files)}" if len(self.files) > 1 else ""
        return f"{' + '.join(map(str, self.faults))}{modes}{several}{' queued' if self.queued else ''}"


PASSING = (
    "429", "429,retry_after=7", "503*4", "status,status=503,seconds=0.2", "500,code=internal_error", "400,code=internal_error",
    "408", "425", "html", "html,status=502", "empty", "huge", "redirect,url=http://127.0.0.1:9/", "hang", "reset_before",
)  # fmt: skip
LOSING = ("503,done=true", "html,done=true", "half", "cut", "reset_during", "reset_after", "hang,done=true")
UNREADABLE = ("missing", "null", "type")
OPERATIONS = ("upload", "split", "batch", "change_voice", "check", "minutes", "delete")
HARMLESS = ("extra", "delay,wait_seconds=0.05")


def passing_rows() -> list[Row]:
    """Nothing is charged by these: whatever goes wrong once, or for a while, is only asked again."""
    return [
        *(
            Row(tuple(f"{operation}:{fault}" for operation in ("upload", "check", "minutes", "delete")), DELIVERED)
            for fault in (*PASSING, *LOSING, *UNREADABLE, *HARMLESS)
        ),
    ]  # fmt: skip


def repeated_start_rows() -> list[Row]:
    """A start that failed, or had not begun yet when it is requested again."""
    return [
        *(Row((f"split:{fault}",), DELIVERED) for fault in (*PASSING, *HARMLESS)),
        *(Row((f"split:{fault}",), DELIVERED, MULTISTEM) for fault in ("429", "503*4", "html", "reset_before")),
        *(Row((f"batch:{fault}",), DELIVERED, files=("ep1.wav", "ep2.wav", "ep3.wav")) for fault in (*PASSING, *HARMLESS)),
        *(Row((f"split:{fault}",), DELIVERED, queued=True) for fault in (*LOSING, *UNREADABLE)),
        *(
            Row((f"batch:{fault}",), DELIVERED, files=("ep1.wav", "ep2.wav"), queued=True)
            for fault in (*LOSING, *UNREADABLE, "missing,field=task_id", "null,field=task_id", "missing,field=source_id")
        ),
        *(Row((f"change_voice:{fault}",), DELIVERED, VOICE, queued=True) for fault in (*LOSING, *UNREADABLE)),
        *(Row((f"change_voice:{fault}",), DELIVERED, VOICE) for fault in (*PASSING, *HARMLESS)),
    ]  # fmt: skip


def lost_start_rows() -> list[Row]:
    """A start whose answer was lost for good: a person decides, and nothing is paid twice."""
    return [
        *(Row((f"split:{fault}",), LOST) for fault in (*LOSING, *UNREADABLE)),
        *(
            Row((f"batch:{fault}",), LOST, files=("ep1.wav", "ep2.wav"), others=LOST)
            for fault in (*LOSING, *UNREADABLE, "missing,field=task_id")
        ),
        Row(("change_voice:reset_after",), LOST, VOICE),
    ]  # fmt: skip


def refused_rows() -> list[Row]:
    """A refusal is for good, and in the service's words."""
    return [
        Row(("upload:400,code=exceeded_size,detail=Too large",), failed("Too large (HTTP 400, exceeded_size")),
        Row(("upload:413,detail=Too large",), failed("Too large (HTTP 413")),
        Row(("upload:422",), failed("HTTP 422")),
        Row(("split:400,code=max_duration,detail=Too long",), failed("Too long (HTTP 400, max_duration")),
        Row(("split:422",), failed("HTTP 422")),
        Row(("split:400*0,code=exceeded_duration",), held(Hold.MINUTES, "exceeded_duration")),
        Row(("change_voice:400,detail=Voice pack not found.",), failed("Voice pack not found"), VOICE),
        Row(("upload:403",), failed("though it accepts the license key")),
        Row(("split:401",), failed("HTTP 401")),
        Row(("upload:403*0", "minutes:403*0"), held(Hold.LICENSE, "the service refuses the license key")),
        Row(("split:403*0", "minutes:401*0"), held(Hold.LICENSE, "the service refuses the license key")),
        Row(("upload:403", "minutes:503*3,after=1"), DELIVERED),  # whether the key is right cannot be told: no reason to fail
        Row(("split:403", "minutes:html*3,after=1"), DELIVERED),
        Row(("check:403",), DELIVERED),
        Row(("check:400",), DELIVERED),
        Row(("check:422*3",), DELIVERED),
    ]  # fmt: skip


def deletion_rows() -> list[Row]:
    """Deleting never costs the results."""
    return [
        Row(("delete:400*0,detail=No.",), WARNED),
        Row(("delete:403*0",), WARNED),
        Row(("delete:404",), LEFT),
        Row(("delete:400,detail=The file has already been deleted.",), LEFT),
    ]  # fmt: skip


def batch_rows() -> list[Row]:
    """One of many."""
    return [
        Row(({"operation": "batch", "kind": "item_error", "match": "ep1"},), DELIVERED, files=("ep1.wav", "ep2.wav")),
        Row(
            ({"operation": "batch", "kind": "item_error", "match": "ep1", "code": "max_duration", "detail": "Too long"},),
            failed("Too long (max_duration)"), files=("ep1.wav", "ep2.wav", "ep3.wav"),
        ),
        Row(
            ({"operation": "batch", "kind": "status", "status": 422, "match": "ep1", "count": 0},
             {"operation": "split", "kind": "status", "status": 422, "match": "ep1", "count": 0}),
            failed("HTTP 422"), files=("ep1.wav", "ep2.wav", "ep3.wav", "ep4.wav"),
        ),
        Row((), DELIVERED, files=("ep1.wav", "ep2.wav", "ep3.wav"), options={"batch": "refused"}),
        Row((), DELIVERED, files=("ep1.wav", "ep2.wav", "ep3.wav"), options={"batch": "per-item"}),
    ]  # fmt: skip


def task_rows() -> list[Row]:
    """What the service says of a task."""
    return [
        *(Row((f"check:{fault}",), DELIVERED) for fault in (
            "unknown", "server_error*3,detail=Oops", "missing,field=status", "missing,field=tracks", "null,field=tracks",
            "type,field=tracks", "null,field=url", "missing,field=label", "type,field=size,value=many", "null,field=type",
            "type,field=duration", "unknown,field=type",
        )),
        Row(("split:task_error",), failed("Unable to detect voice/vocals in the uploaded files (inference_error", 1)),
        Row(("check:server_error*0",), failed("expired: The file has not been uploaded properly", 1)),
        Row(({"operation": "batch", "kind": "task_error", "match": "ep1"},), failed("Unable to detect", 1), files=("ep1.wav", "ep2.wav")),
    ]  # fmt: skip


def track_rows() -> list[Row]:
    """Tracks and their links."""
    return [
        *(Row((f"download:{fault}",), DELIVERED) for fault in (
            "429", "503*4", "status,status=503,seconds=0.08", "500", "html", "html,status=404", "empty", "hang", "reset_before",
            "reset_during", "reset_during,at_byte=0",
            "reset_after", "cut", "cut,at_byte=0", "cut,at_byte=1000", "long", "long,declared=none",
            "long,declared=less", "dead", "dead,status=403", "dead,status=410", "dead*2", "400", "huge",
            "redirect,url=http://127.0.0.1:9/gone",
        )),
        Row(("check:size,extra_bytes=7",), DELIVERED),
        Row(("download:dead*0",), failed("are dead", 1)),
        Row(("check:http_link*0",), DELIVERED),  # a sandbox on loopback may be http
        Row(("check:http_link,url=http://127.0.0.2:9/track",), DELIVERED),
        Row(("check:http_link*0,url=ftp://127.0.0.1/track",), held(Hold.LINK, "its scheme is 'ftp'", 1)),
        Row(("check:http_link*0,url=https://user:word@127.0.0.1/track",), held(Hold.LINK, "user name or password", 1)),
        Row(("download:redirect*0,url=file:///etc/passwd",), held(Hold.LINK, "its scheme is 'file'", 1)),
    ]  # fmt: skip


def rows() -> list[Row]:
    """The table."""
    return [
        *passing_rows(),
        *repeated_start_rows(),
        *lost_start_rows(),
        *refused_rows(),
        *deletion_rows(),
        *batch_rows(),
        *task_rows(),
        *track_rows(),
    ]


def test_the_table_has_a_row_for_every_fault_of_every_operation() -> None:
    there = {fault for row in rows() for fault in row.faults if isinstance(fault, str)}
    faults = (*PASSING, *LOSING, *UNREADABLE, *HARMLESS)
    assert {f"{operation}:{fault}" for operation in OPERATIONS for fault in faults} <= there


@pytest.mark.parametrize("row", rows(), ids=str)
def test_every_fault_has_its_end(row: Row, tmp_path: Path) -> None:
    run(_carried(row, tmp_path))


async def _carried(row: Row, root: Path) -> None:
    queue = {"queue_seconds": QUEUE_SECONDS} if row.queued else {}
    options = Options(checks_per_minute=PLENTY, **queue, **row.options)
    deadlines = HURRIED if any("hang" in str(fault) for fault in row.faults) else PATIENT
    async with WorkerDriver(root, options=options, asked=row.asked, deadlines=deadlines) as driver:
        if len(row.files) == 1:
            driver.sandbox.faults(*row.faults)
            await driver.drop(*row.files)
        else:
            await _drop_together(driver, row)
        if row.queued:
            await _leave_the_queue(driver)
        jobs = await driver.rest()
        ends = {row.files[0]: row.end, "ep0.wav": DELIVERED}
        for job in jobs:
            check_the_end(driver, job, ends.get(job.path, row.others))
        assert driver.litter() == []
        check_what_is_said(driver)


async def _drop_together(driver: WorkerDriver, row: Row) -> None:
    """Files whose tasks are checked in one request: they gather while the start of another file hangs."""
    driver.sandbox.faults("split:hang*0")
    await driver.drop("ep0.wav", duplicates="process")

    async def asked() -> bool:
        return driver.counts().get("split") == 1

    await driver.until(asked, "the first start is on its way")
    await driver.drop(*row.files)

    async def gathered() -> bool:
        return all(job.stage is Stage.SPLIT for job in await driver.jobs())

    await driver.until(gathered, "everything is uploaded")
    driver.sandbox.faults(*row.faults)


async def _leave_the_queue(driver: WorkerDriver) -> None:
    async def started() -> bool:
        return all(task.stage is Stage.CHECK for job in await driver.jobs() for task in job.tasks)

    await driver.until(started, "every id arrived")
    driver.sandbox.advance(QUEUE_SECONDS)


def check_the_end(driver: WorkerDriver, job: Job, end: End) -> None:
    """Everything that a person, and an accountant, would look at."""
    assert (job.state, job.hold) == (end.state, end.hold), job
    assert end.says in f"{job.error} {job.hold_reason} {job.warning}"
    ledger = Counter(
        charge["mode"] for charge in driver.sandbox.state()["charges"] if charge["source_name"] == job.path
    )
    assert ledger == {task.mode: end.charges for task in job.tasks if end.charges}, "what was paid"
    check_the_outbox(driver, job, end)
    check_the_source(driver, job, end)


def check_the_outbox(driver: WorkerDriver, job: Job, end: End) -> None:
    """All of the results, or none."""
    name = Path(job.path).stem
    expected = [f"{name}/{label}.wav" for task in job.tasks for label in LABELS[task.mode]]
    there = [path for path in driver.seen() if path.startswith(f"{name}/")]
    assert there == (sorted(expected) if end.state is State.DONE else [])
    for path in there:
        content = track_bytes(driver.contents[job.path], Path(path).stem, job.path)
        assert (driver.outbox / path).read_bytes() == content


def check_the_source(driver: WorkerDriver, job: Job, end: End) -> None:
    """Here it lies where it belongs, and on the service it is gone once it is delivered."""
    where = {State.DONE: f"done/{job.path}", State.FAILED: f"failed/{job.path}"}.get(end.state, job.path)
    mine = [path for path in tree(driver.inbox) if job.path in path]
    note = [f"{where}.error.txt"] if end.state is State.FAILED else []
    assert mine == [where, *note]
    assert (driver.inbox / where).read_bytes() == driver.contents[job.path]
    for path in note:
        text = (driver.inbox / path).read_text()
        assert job.error is not None
        assert job.error in text
        assert ("nothing was spent" in text) == (end.charges == 0)
    if end is DELIVERED:
        state = driver.sandbox.state(requests=False)
        charged = {charge["source_id"] for charge in state["charges"] if charge["source_name"] == job.path}
        assert all(source["deleted_at"] for source in state["sources"] if source["id"] in charged)


def check_what_is_said(driver: WorkerDriver) -> None:
    """What a person should know is said once, not at every try; the key never."""
    assert KEY not in repr(driver.journal.events)
    assert KEY.encode() not in b"".join(path.read_bytes() for path in driver.state.iterdir() if path.is_file())
    for event in ("job.held", "job.failed", "job.done"):
        assert all(times == 1 for times in Counter(facts["job"] for facts in driver.journal.of(event)).values()), event
    waits = [facts for level, event, facts in driver.journal.events if event == "job.postponed" and level == "info"]
    assert all(times == 1 for times in Counter((facts["job"], facts["stage"]) for facts in waits).values())


@pytest.mark.parametrize("operation", [*OPERATIONS, "download"])
def test_refused_connections_are_waited_out(operation: str, tmp_path: Path) -> None:
    """A host that is up while nothing listens: at each operation, and then the service is there again."""
    run(_refused(operation, tmp_path))


async def _refused(operation: str, root: Path) -> None:
    several = ("ep1.wav", "ep2.wav") if operation == "batch" else ("ep1.wav",)
    asked = VOICE if operation == "change_voice" else VOCALS
    row = Row((f"{operation}:503*0",), DELIVERED, asked=asked, files=several)
    options, deadlines = Options(checks_per_minute=PLENTY), HURRIED if len(several) > 1 else PATIENT
    async with WorkerDriver(root, options=options, asked=asked, deadlines=deadlines) as driver:
        if len(several) > 1:
            await _drop_together(driver, row)
        else:
            driver.sandbox.faults(*row.faults)
            await driver.drop(*several)
        await driver.until(lambda: driver.counts().get(operation), "it has come so far")
        with driver.sandbox.down():
            driver.sandbox.faults()
            await driver.until(
                lambda: "refused" in f"{driver.worker.service_problem} {driver.journal.events}", "nothing listens"
            )
        for job in await driver.rest():
            check_the_end(driver, job, DELIVERED)
        assert driver.litter() == []
        check_what_is_said(driver)


@pytest.mark.parametrize("fault", [*PASSING, *LOSING, *UNREADABLE, *HARMLESS])
def test_voices_lists_voice_packs_or_reports_the_error(fault: str, tmp_path: Path) -> None:
    run(_voice_packs(fault, tmp_path))


async def _voice_packs(fault: str, root: Path) -> None:
    options = Options(faults=(f"voices:{fault}",))
    async with WorkerDriver(root, options=options, deadlines=HURRIED) as driver:
        try:
            packs = await driver.api.voice_packs()
        except ServiceError as error:
            output, packs = str(error), []
            assert output
            assert KEY not in output
        else:
            assert fault in (*HARMLESS, *UNREADABLE) or "seconds" in fault, "it may be over"
        assert all(pack.pack_id for pack in packs)
        driver.sandbox.faults()
        assert isinstance(await driver.api.voice_packs(), list), "the next answer is one again"
