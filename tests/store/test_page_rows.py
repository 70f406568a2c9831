"""What the page keeps in the database: rows of the version before stay, a key acts once, a name has one upload."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lalald.store import Store
from lalald.store.database import FILE_NAME
from lalald.store.page import logins, recorded_actions, upload_rows, verdicts
from lalald.store.page.recorded_actions import RecordedAction
from lalald.store.page.upload_rows import Upload
from lalald.store.queries import Reports
from lalald.store.request_writer import Kind, Requests
from lalald.store.schema import migrations

_BEFORE_THE_PAGE = migrations.MIGRATIONS.index(migrations._PAGE)
NOW = 1_800_000_000.0


@pytest.fixture
def requests(tmp_path: Path) -> Iterator[Requests]:
    Store.open(tmp_path).close()
    with Requests.open(tmp_path) as requests:
        yield requests


def test_a_request_that_was_left_for_the_version_before_is_still_there(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        migrations.bring_to(old, 0, _BEFORE_THE_PAGE)
        old.execute("INSERT INTO requests (kind, argument, at) VALUES ('redo', '7', ?)", (NOW,))
    store = Store.open(tmp_path)
    ((number, kind, argument),) = store.connection.execute("SELECT id, kind, argument FROM requests").fetchall()
    assert (kind, argument, verdicts.request_seen(store.connection, number)) == ("redo", "7", None)
    store.close()


def test_the_actions_that_the_version_before_recorded_keep_their_keys_and_verdicts(tmp_path: Path) -> None:
    """Else a request that is sent again after the upgrade would act, and pay, a second time."""
    before = migrations.MIGRATIONS.index(migrations._RECORDED_ACTIONS)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as old:
        migrations.bring_to(old, 0, before)
        values = ("key-1", 0, 7, "redo", "abc", 1, "done", "Job 7 was restarted.", 8, NOW, NOW + 1)
        old.execute(f"INSERT INTO asked_actions VALUES ({', '.join('?' * len(values))})", values)
    Store.open(tmp_path).close()
    with Reports.open(tmp_path) as reports:
        (found,) = recorded_actions.recorded_with(reports, "key-1")
        acted = reports.connection.execute("SELECT requested_at, acted_at FROM recorded_actions").fetchall()
    assert found == RecordedAction("key-1", 7, "redo", "abc", True, "done", "Job 7 was restarted.", 8)
    assert acted == [(NOW, NOW + 1)]


def test_what_is_asked_already_is_not_asked_twice(requests: Requests) -> None:
    with requests.together():
        assert requests.ask(Kind.REDO, "7")
        assert not requests.ask(Kind.REDO, "7")
        assert requests.ask(Kind.RESCAN)
        assert not requests.ask(Kind.RESCAN)


def test_a_key_has_one_verdict_and_is_kept_for_a_day(requests: Requests) -> None:
    one = RecordedAction("k" * 16, 3, "release", "digest", True, verdicts.ASKED, "Job 3 will be released.")
    with requests.together():
        recorded_actions.record_actions(requests, [one], NOW)
        assert recorded_actions.recorded_with(requests, one.key) == [one]
        for code in ("price_changed", "done"):
            verdicts.note_acted(requests.connection, one.key, 3, code=code, message=code, now=NOW + 1)
        (found,) = recorded_actions.recorded_with(requests, one.key)
        assert (found.code, found.is_accepted) == ("price_changed", False)
        assert not verdicts.is_open(requests.connection, one.key, 3)
        recorded_actions.record_actions(requests, [replace(one, key="n" * 16)], NOW + 86_401)
        assert recorded_actions.recorded_with(requests, one.key) == []


def test_a_name_has_one_upload_whatever_its_bytes(requests: Requests) -> None:
    one = Upload("a" * 32, "/in", "caf\udce9.wav", 5, 0, 1, "", NOW, NOW)
    with requests.together():
        assert upload_rows.add_upload(requests.connection, one)
        assert not upload_rows.add_upload(requests.connection, replace(one, id="b" * 32))
        upload_rows.set_offset(requests.connection, one.id, 3, NOW + 1)
        assert upload_rows.uploads(requests.connection) == [replace(one, offset=3, touched_at=NOW + 1)]


def test_a_link_works_once_within_five_minutes(requests: Requests) -> None:
    with requests.together():
        logins.add_link(requests, "one", NOW)
        assert not logins.use_link(requests, "other", NOW)
        assert logins.use_link(requests, "one", NOW + 299)
        assert not logins.use_link(requests, "one", NOW + 299)
        logins.add_link(requests, "late", NOW)
        assert not logins.use_link(requests, "late", NOW + 300)
