"""The database: what is saved is durable, what was changed meanwhile is not overwritten, what is not ours is left as it is."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

import pytest

from lalald.errors import StoreError
from lalald.jobs.job import Job
from lalald.jobs.states import Hold, Request, Stage, State
from lalald.jobs.task import Task, Track
from lalald.store import NewFile, Store, StoreThread, database
from lalald.store.database import FILE_NAME
from lalald.store.due import Demand, ProbeWanted, Queue
from lalald.store.schema.migrations import APPLICATION_ID, MIGRATIONS, VERSION, bring_to
from lalald.store.tables.task_writer import StaleError
from tests.jobs.test_transitions import SETTINGS
from tests.support.running import until

Answer = TypeVar("Answer")
NOW = 1_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def found(path: str = "a.wav", **facts: object) -> NewFile:
    tasks = (Task(1, None, "demuser", {"stem": "music"}), Task(2, "x", "multistem", {"stem_list": ["drum"]}))
    made = NewFile("/in", path, 10, 1, 1, "r", SETTINGS, tasks)
    return replace(made, **facts)  # type: ignore[arg-type] # the facts are the fields' own


def taken(store: Store, path: str = "a.wav", **facts: object) -> Job:
    (job_id,) = store.add_files([found(path, **facts)], NOW)
    assert job_id is not None
    job = store.job(job_id)
    assert job is not None
    return job


def test_a_job_comes_back_as_it_was_saved(store: Store) -> None:
    job = taken(store)
    tracks = (Track("stem", "voice", "https://x", name="v", size=3, path="a/voice.wav", sha256="00", delivered=True),)
    first = replace(job.tasks[0], stage=Stage.DONE, task_id="t", minutes=1.5, started_at=NOW, tracks=tracks)
    changed = replace(job.with_task(first), stage=Stage.SPLIT, source_id="s", duration=90.0, warning="w")
    saved = store.save(job, changed)
    assert saved == replace(changed, revision=1, minutes=1.5)
    assert store.job(job.id) == saved
    assert store.charges.spent_since(NOW) == 1.5


def test_earlier_charges_of_a_task_stay_when_it_is_started_again(store: Store) -> None:
    job = taken(store)
    job = store.save(job, job.with_task(replace(job.tasks[0], task_id="first", minutes=1.5, started_at=NOW)))
    job = store.save(job, job.with_task(job.tasks[0].reset()))
    assert (job.minutes, job.minutes_before) == (1.5, 1.5)
    job = store.save(job, job.with_task(replace(job.tasks[0], task_id="second", minutes=1.25, started_at=NOW)))
    again = store.save(job, job.with_task(replace(job.tasks[0], task_id="first", minutes=1.5, started_at=NOW)))
    assert (job.minutes, job.minutes_before) == (2.75, 1.5)
    assert again.minutes == 2.75, "a charge that is known is none"
    assert store.job(job.id) == again
    assert store.charges.spent_since(NOW) == 2.75


def test_tracks_follow_their_task_as_they_become_more_others_and_fewer(store: Store) -> None:
    job = taken(store)
    voice, noise, both = (Track("stem", label, "https://x") for label in ("voice", "noise", "both"))
    sets = [(voice,), (voice, noise, both), (voice, replace(noise, path="n.wav"), both), (both, noise), ()]
    for tracks in sets:
        job = store.save(job, job.with_task(replace(job.tasks[0], tracks=tracks)))
        found = store.job(job.id)
        assert found is not None
        assert found.tasks[0].tracks == tracks
    assert [task.tracks for task in job.tasks] == [(), ()]


@pytest.mark.parametrize("raw", [b"caf\xe9.wav", b"new\nline.wav", b'q"uote.wav', "e\u0301.wav".encode(), b"x" * 255])
def test_every_name_a_disk_can_hold_comes_back_byte_for_byte(store: Store, raw: bytes) -> None:
    path = "folder/" + os.fsdecode(raw)
    job = taken(store, path)
    assert os.fsencode(job.path) == b"folder/" + raw
    assert list(store.known_in("/in", "folder")) == [os.fsdecode(raw)]


def test_the_same_identity_makes_no_second_job(store: Store) -> None:
    assert store.add_files([found()], NOW) == store.add_files([found()], NOW + 1) == [1]
    assert store.add_files([found(mtime_ns=2)], NOW + 2) == [2]


def test_a_row_that_changed_meanwhile_is_not_overwritten(store: Store) -> None:
    job = taken(store)
    store.save(job, replace(job, warning="first"))
    with pytest.raises(StaleError):
        store.save(job, replace(job, warning="second"))
    kept = store.job(job.id)
    assert kept is not None
    assert kept.warning == "first"


def due(store: Store, now: float, limit: int, but: Collection[int] = ()) -> list[Job]:
    """The uploads that are next."""
    return store.due(Queue(Stage.UPLOAD), now, Demand(limit, limit), but).jobs


def test_a_save_writes_what_changed_and_nothing_else(store: Store) -> None:
    """A twin that ended meanwhile has made the job due: its next save does not put that off again."""
    first = taken(store)
    waits = taken(store, "b.wav")
    waits = store.save(waits, replace(waits, duplicate_of=first.id, due_at=NOW + 3600))
    store.save(first, replace(first, stage=Stage.DONE, state=State.DONE))
    assert store.save(waits, replace(waits, warning="w")).revision == 2
    assert [(job.id, job.warning) for job in due(store, NOW, 1)] == [(waits.id, "w")]


def test_jobs_that_are_passed_over_take_no_other_ones_place(store: Store) -> None:
    jobs = [taken(store, f"{name}.wav") for name in "abcd"]
    assert [job.path for job in due(store, NOW, 2, but={jobs[0].id, jobs[2].id})] == ["b.wav", "d.wav"]


def test_a_failure_that_cannot_be_filed_keeps_none_from_its_turn(store: Store) -> None:
    """One whose folder is away may be due again at once; whoever came after it would wait for ever."""
    jobs = [taken(store, path) for path in ("a.wav", "b.wav")]
    first, second = (store.save(job, replace(job, state=State.FAILED, error="refused")) for job in jobs)
    store.save(first, replace(first, attempts=1, due_at=NOW))
    assert [job.path for job in store.unarchived_failures(NOW, 1).jobs] == [second.path]


def test_a_request_of_the_command_line_does_not_get_in_the_way_of_a_task_id(store: Store) -> None:
    job = taken(store)
    store.connection.execute("UPDATE jobs SET request = 'cancel' WHERE id = 1")
    saved = store.save(job, job.with_task(replace(job.tasks[0], stage=Stage.CHECK, task_id="t", minutes=1.0)))
    assert saved.request is Request.CANCEL
    assert saved.tasks[0].task_id == "t"


def test_a_due_time_beyond_any_wait_is_the_mark_of_a_stepped_clock(store: Store) -> None:
    job = taken(store)
    store.save(job, replace(job, due_at=NOW + 60))
    assert due(store, NOW, 10) == []
    assert len(due(store, NOW - 86400, 10)) == 1


def test_one_statement_holds_and_releases_every_job(store: Store) -> None:
    for name in ("a.wav", "b.wav"):
        taken(store, name)
    assert store.hold_all(Hold.LICENSE, "no key", NOW) == 2
    assert store.counts.by_hold() == {Hold.LICENSE: 2}
    assert store.release_all(Hold.LICENSE, NOW) == 2
    assert len(due(store, NOW, 10)) == 2


def test_trimmed_history_keeps_what_reuse_and_identity_need(store: Store) -> None:
    ended = []
    for name in ("a.wav", "b.wav", "c.wav"):
        job = taken(store, name)
        ended.append(store.save(job, replace(job, stage=Stage.DONE, state=State.DONE, sha256="5", updated_at=NOW)))
    store.forget("/in", ["a.wav", "c.wav"])
    assert store.history.newest_id() == ended[2].id
    assert store.history.trim(NOW + 1, range(ended[0].id)) == 0
    assert store.history.trim(NOW + 1, range(1, ended[2].id + 1)) == 1
    assert store.job(ended[0].id) is None  # gone from the inbox, and c has the same content
    assert store.job(ended[1].id) is not None  # b still lies in the inbox
    assert store.job(ended[2].id) is not None  # the newest of its content


def test_a_failed_file_that_is_dragged_back_is_its_old_job_with_the_new_rule(store: Store) -> None:
    job = taken(store)
    store.save(job, replace(job, state=State.FAILED, error="e", moved_to="/in/failed/a.wav", archived=True))
    (failed,) = store.possible_returns("/in", 10)
    assert failed.job_id == job.id
    mended = found("renamed.wav", rule="mended", tasks=(Task(1, None, "demuser", {"stem": "music"}),))
    store.resume_returned(job.id, mended, NOW)
    again = store.job(job.id)
    assert again is not None
    assert (again.path, again.rule, again.moved_to, again.request) == ("renamed.wav", "mended", None, Request.RETRY)
    assert len(again.tasks) == 1


@pytest.mark.parametrize("same", [True, False])
def test_who_let_a_file_past_the_spend_guard_let_it_past_with_its_price(store: Store, same: bool) -> None:
    job = taken(store)
    failed = replace(job, state=State.FAILED, error="e", moved_to="/in/failed/a.wav", archived=True)
    failed = replace(failed, per_file_waived=True, approved_minutes=9.0)
    store.save(job, failed)
    dearer = (Task(1, None, "multistem", {"stem_list": ["drum", "bass", "vocals", "piano"]}),)
    store.resume_returned(job.id, found(tasks=job.tasks if same else dearer), NOW)
    again = store.job(job.id)
    assert again is not None
    assert (again.per_file_waived, again.approved_minutes is not None) == (same, same)


def test_a_paid_task_survives_being_dragged_back(store: Store) -> None:
    job = taken(store)
    paid = job.with_task(replace(job.tasks[0], task_id="t", stage=Stage.CHECK))
    saved = store.save(job, replace(paid, state=State.FAILED, moved_to="/in/failed/a.wav", archived=True))
    store.resume_returned(job.id, found("renamed.wav", rule="mended", tasks=()), NOW)
    again = store.job(job.id)
    assert again is not None
    assert again.tasks == saved.tasks
    assert again.rule == "r"


# the file itself


def test_the_state_folder_is_private(tmp_path: Path) -> None:
    Store.open(tmp_path / "state").close()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / FILE_NAME).stat().st_mode) == 0o600


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title)")
    connection.commit()
    connection.close()


def _newer(path: Path) -> None:
    Store.open(path.parent).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be read as one " * 100)


def _damaged(path: Path) -> None:
    Store.open(path.parent).close()
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 4] = b"\xff" * (4096 * 3)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_foreign, "another program"),
        (_newer, "newer lalald"),
        (_garbage, "no database"),
        (_damaged, "damaged"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_in_plain_words_and_left(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / FILE_NAME
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words) as refusal:
        Store.open(tmp_path)
    assert refusal.value.hint
    assert path.read_bytes() == before


def _shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return sorted(map(tuple, connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")))


def test_an_older_database_learns_what_its_jobs_were_charged(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    bring_to(connection, 0, 3)
    connection.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
    for job_id in (1, 2):
        connection.execute(
            "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, created_at, updated_at)"
            " VALUES (?, '/in', 'a', 1, 1, 1, 'r', 1, 'done', 'done', '', 1, 1)",
            (job_id,),
        )
    for task_id, minutes in (("a", 1.5), ("b", 2.0)):
        connection.execute("INSERT INTO charges VALUES (?, 1, 1, 'a', 'demuser', ?, 1)", (task_id, minutes))
    connection.close()
    with closing(Store.open(tmp_path)) as opened:
        assert [job.minutes for job_id in (1, 2) if (job := opened.job(job_id))] == [3.5, 0.0]


@pytest.mark.parametrize(
    ("stage", "error", "failure"),
    [
        (
            "check",
            "expired: the service reports a task's state for 24 hours only. `lalald retry 1` pays again.",
            "expired",
        ),
        ("check", "Unable to detect voice", "failed"),
        ("check", "it was cancelled", "cancelled"),
        ("split", "it was cancelled", "cancelled"),
        ("check", "the task was cancelled on the service; its minutes were charged.", "cancelled"),
        ("split", "Voice pack not found. Nothing was charged for it.", "refused"),
        ("download", "the service's links to its tracks are dead", "dead_links"),
        ("check", None, None),
    ],
)
def test_an_older_database_learns_why_its_tasks_failed(
    stage: str, error: str | None, failure: str | None, tmp_path: Path
) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    bring_to(connection, 0, 7)
    connection.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
    connection.execute(
        "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, error, created_at, updated_at)"
        " VALUES (1, '/in', 'a', 1, 1, 1, 'r', 1, ?, 'failed', '', ?, 1, 1)",
        (stage, error),
    )
    connection.execute(
        "INSERT INTO tasks (job_id, number, mode, presets, stage, task_id, error) VALUES (1, 1, 'demuser', '{}', ?, 't', ?)",
        (stage, error),
    )
    connection.close()
    with closing(Store.open(tmp_path)) as opened:
        job = opened.job(1)
    assert job is not None
    assert job.tasks[0].failure == failure
    assert "`lalald retry" not in f"{job.error} {job.tasks[0].error}", "a retry pays for nothing that has results"


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_database_is_brought_to_this_version_with_all_it_knows(tmp_path: Path, version: int) -> None:
    (tmp_path / "old").mkdir()
    connection = sqlite3.connect(tmp_path / "old" / FILE_NAME, isolation_level=None)
    bring_to(connection, 0, version)
    (table,) = connection.execute("SELECT name FROM sqlite_master WHERE name IN ('facts', 'daemon_state')").fetchone()
    connection.execute(f"INSERT INTO {table} (name, json, at) VALUES ('minutes', '12', 1.0)")
    connection.close()
    old, new = Store.open(tmp_path / "old"), Store.open(tmp_path / "new")
    assert old.state.get("minutes") == 12
    assert _shape(old.connection) == _shape(new.connection)
    assert old.connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
    old.close()
    new.close()


def test_the_application_is_named_in_the_file(store: Store) -> None:
    (found,) = store.connection.execute("PRAGMA application_id").fetchone()
    assert found == APPLICATION_ID


# the thread


def run(tmp_path: Path, story: Callable[[StoreThread], Awaitable[Answer]]) -> Answer:
    async def whole() -> Answer:
        thread = StoreThread(lambda: Store.open(tmp_path))
        await thread.start()
        try:
            return await story(thread)
        finally:
            await thread.stop()

    return asyncio.run(whole())


@pytest.mark.parametrize(("seconds", "others"), [(60.0, 1), (0.01, 0)])
def test_what_can_wait_is_in_the_commit_of_what_cannot(tmp_path: Path, seconds: float, others: int) -> None:
    statements: list[str] = []

    def opened() -> Store:
        store = Store.open(tmp_path)
        store.connection.set_trace_callback(statements.append)
        return store

    async def story() -> None:
        thread = StoreThread(opened, company_seconds=seconds)
        await thread.start()
        waits = asyncio.create_task(thread.run_with_others(lambda store: store.add_files([found("one.wav")], NOW)))
        await asyncio.sleep(0)  # it is requested
        await asyncio.to_thread(until, lambda: not thread._calls.qsize(), "the thread has it")
        for _ in range(others):
            await thread.run(lambda store: store.add_files([found("two.wav")], NOW))
        await waits
        assert statements.count("COMMIT") == 1
        await thread.stop()

    asyncio.run(story())


def test_many_calls_are_each_atomic(tmp_path: Path) -> None:
    def fails(store: Store) -> None:
        store.add_files([found("bad.wav")], NOW)
        raise ValueError("no")

    async def story(thread: StoreThread) -> list[object]:
        calls = [thread.run(lambda store, n=n: store.add_files([found(f"{n}.wav")], NOW)) for n in range(20)]  # type: ignore[misc] # bound here
        return await asyncio.gather(*calls[:10], thread.run(fails), *calls[10:], return_exceptions=True)

    answers = run(tmp_path, story)
    assert sum(isinstance(answer, ValueError) for answer in answers) == 1
    store = Store.open(tmp_path)
    assert len(store.known_in("/in", "")) == 20
    store.close()


def test_a_store_that_cannot_be_opened_says_so_where_it_was_started(tmp_path: Path) -> None:
    _garbage(tmp_path / FILE_NAME)

    async def story(_thread: StoreThread) -> None:
        raise AssertionError("it must not start")

    with pytest.raises(StoreError):
        run(tmp_path, story)


class AskedStore(Store):
    """Remembers its questions, to be explained."""

    def plans(self, ask: Callable[[Self], object]) -> list[str]:
        asked: list[str] = []
        self.connection.set_trace_callback(asked.append)
        ask(self)
        self.connection.set_trace_callback(None)
        return [
            " ".join(step for (*_, step) in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
            for statement in asked
            if statement.startswith("SELECT")
        ]


DEMANDS = [
    Demand(3, 1),
    Demand(100, 100, apart=True),
    Demand(0, 0, probes={"": ProbeWanted(any_job=True, untried_job=True)}),
    Demand(3, 1, probes={"a": ProbeWanted(any_job=True, untried_job=True)}, limits={"b": 2}),
]


@pytest.mark.parametrize(
    "queue", [Queue(Stage.UPLOAD), Queue(Stage.SPLIT, "multistem"), Queue(Stage.DOWNLOAD)], ids=str
)
@pytest.mark.parametrize("demand", DEMANDS, ids=str)
def test_what_is_next_is_read_from_an_index_in_its_order(queue: Queue, demand: Demand, tmp_path: Path) -> None:
    store = AskedStore.open(tmp_path / "state")
    plans = store.plans(lambda store: store.due(queue, NOW, demand, but={7}))
    plans += store.plans(lambda store: store.waiting_at(queue, "a", 3))
    store.close()
    assert len(plans) >= 3
    for plan in plans:
        assert "TEMP B-TREE" not in plan
        assert "SCAN jobs" not in plan


def test_the_order_of_probes_is_fewest_failures_first_and_then_the_smallest_file(store: Store) -> None:
    for name, size, attempts in (("a", 9, 1), ("b", 5, 2), ("c", 7, 1), ("d", 8, 0), ("e", 6, 0)):
        job = taken(store, f"{name}.wav")
        store.save(job, replace(job, size=size, attempts=attempts))
    demand = Demand(0, 0, probes={"": ProbeWanted(any_job=True, untried_job=True)})
    probed: list[str] = []
    but: set[int] = set()
    while due := store.due(Queue(Stage.UPLOAD), NOW, demand, but).probes:
        probed += [job.path for job in due]
        but |= {job.id for job in due}
    assert probed == ["e.wav", "d.wav", "c.wav", "a.wav", "b.wav"]


def test_a_breaker_that_lets_only_an_untried_job_through_gets_one_or_none(store: Store) -> None:
    demand = Demand(3, 3, probes={"": ProbeWanted(any_job=False, untried_job=True)})
    tried = taken(store)
    store.save(tried, replace(tried, attempts=1))
    due = store.due(Queue(Stage.UPLOAD), NOW, demand)
    assert (due.jobs, due.probes, due.untried) == ([], [], frozenset())
    untried = taken(store, "b.wav")
    due = store.due(Queue(Stage.UPLOAD), NOW, demand)
    assert (due.jobs, [job.id for job in due.probes], due.untried) == ([], [untried.id], {""})


def test_jobs_that_failed_have_their_share_while_others_wait_and_all_there_is_if_none_do(store: Store) -> None:
    for name, attempts in zip("abcdefgh", (1, 1, 1, 1, 0, 0, 0, 0), strict=True):
        job = taken(store, f"{name}.wav")
        store.save(job, replace(job, attempts=attempts))

    def paths(demand: Demand, but: Collection[int] = ()) -> list[str]:
        return [job.path[0] for job in store.due(Queue(Stage.UPLOAD), NOW, demand, but).jobs]

    assert paths(Demand(4, 2)) == ["e", "f", "a", "b"]
    assert paths(Demand(4, 0)) == ["e", "f", "g", "h"]
    assert paths(Demand(6, 3)) == ["e", "f", "g", "h", "a", "b"]
    assert paths(Demand(3, 1), but={5, 6, 7, 8}) == ["a", "b", "c"]
    assert paths(Demand(100, 0, apart=True)) == ["e", "f", "g", "h"], "in a request for many one kind or the other"
    assert paths(Demand(100, 100, apart=True)) == ["a", "b", "c", "d"]


def test_jobs_of_a_dead_host_are_passed_over_and_those_of_a_recovering_one_come_as_it_allows(store: Store) -> None:
    for name, host in zip("abcdef", ("dead", "dead", "well", "weak", "weak", "well"), strict=True):
        job = taken(store, f"{name}.wav")
        store.save(job, replace(job, stage=Stage.DOWNLOAD, download_host=host))
    demand = Demand(5, 2, probes={"dead": ProbeWanted(any_job=False, untried_job=False)}, limits={"weak": 1})
    due = store.due(Queue(Stage.DOWNLOAD), NOW, demand)
    assert ([job.path[0] for job in due.jobs], due.probes, due.untried) == (["c", "f", "d"], [], {"dead"})
    assert store.waiting_at(Queue(Stage.DOWNLOAD), "weak", 3) == 2
    assert store.waiting_at(Queue(Stage.DOWNLOAD), "weak", 1) == 1


def test_downloads_of_the_version_before_wait_at_their_host(tmp_path: Path) -> None:
    version = MIGRATIONS.index(next(script for script in MIGRATIONS if "download_host" in script))
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as old:
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        bring_to(old, 0, version)
        old.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
        columns = "INSERT INTO jobs (id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, recipe, created_at, updated_at)"
        for job_id, stage in ((1, "download"), (2, "upload"), (3, "download")):
            old.execute(
                f"{columns} VALUES (?, '/in', 'a.wav', 1, 1, 1, 'r', 1, ?, 'waiting', 'x', 0, 0)", (job_id, stage)
            )
        old.execute(
            "INSERT INTO tasks (job_id, number, mode, presets, stage) VALUES (1, 1, 'demuser', '{}', 'download')"
        )
        columns = "job_id, task_number, position, type, label, url, wanted, delivered"
        track = f"INSERT INTO tracks ({columns}) VALUES (1, 1, ?, 's', 'l', ?, 1, ?)"
        old.execute(track, (0, "https://first.example/x", 1))
        old.execute(track, (1, "https://D.lalal.ai:8443/x/y?z", 0))
    store = Store.open(state)
    assert [job.download_host for job in store._jobs("ORDER BY jobs.id", ())] == ["d.lalal.ai:8443", "", ""]
    store.close()


def test_holds_for_the_license_of_the_version_before_keep_their_meaning(tmp_path: Path) -> None:
    """They were spelled `licence`, which this version does not know."""
    version = MIGRATIONS.index(next(script for script in MIGRATIONS if "'licence'" in script))
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as old:
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        bring_to(old, 0, version)
        old.execute("INSERT INTO handlings (id, json) VALUES (1, ?)", (SETTINGS.to_json(),))
        columns = (
            "id, inbox, path, size, mtime_ns, inode, rule, handling, stage, state, hold, recipe, created_at, updated_at"
        )
        for job_id, hold in ((1, "licence"), (2, "mount")):
            old.execute(
                f"INSERT INTO jobs ({columns}) VALUES (?, '/in', ?, 1, 1, 1, 'r', 1, 'upload', 'held', ?, 'x', 0, 0)",
                (job_id, f"{job_id}.wav", hold),
            )
        old.execute(
            "INSERT INTO tasks (job_id, number, mode, presets, stage, waits_for) VALUES (1, 1, 'demuser', '{}', 'split', 'licence')"
        )
    store = Store.open(state)
    assert store.counts.by_hold() == {Hold.LICENSE: 1, Hold.MOUNT: 1}
    job = store.job(1)
    assert job is not None
    assert job.tasks[0].hold is Hold.LICENSE
    assert store.release_all(Hold.LICENSE, NOW) == 1
    store.close()


def test_no_statement_numbers_its_parameters() -> None:
    """Python 3.12.0 to 3.12.3 warn of `?1` with a sequence, which they take for a name (CPython 117995): bind such by name."""
    sources = Path(database.__file__).parent.rglob("*.py")
    assert not [path.name for path in sources if re.search(r"\?\d", path.read_text(encoding="utf-8"))]


def test_a_job_with_a_request_is_left_to_the_request_loop(store: Store) -> None:
    job = taken(store)
    demand = Demand(jobs=5, retries=5)
    assert [due.id for due in store.due(Queue(Stage.UPLOAD), NOW, demand).jobs] == [job.id]
    store.connection.execute("UPDATE jobs SET request = 'cancel' WHERE id = ?", (job.id,))
    assert store.due(Queue(Stage.UPLOAD), NOW, demand).jobs == []
    assert [one.id for one in store.jobs_with_request()] == [job.id]
