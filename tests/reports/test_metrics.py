"""Metrics, read by Prometheus' own parser and judged by its own tool."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lalald.jobs.states import Stage, State
from lalald.reports.metrics import prometheus
from lalald.reports.status_report import Folders
from tests.support.filled_store import HOUR, NOW, FilledStore, answering


@pytest.fixture
def filled_store(tmp_path: Path) -> FilledStore:
    found = FilledStore(tmp_path)
    found.fill()
    return found


def read(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """By name and labels; the parser refuses what Prometheus would."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values = found.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in values, f"{sample.name} {labels} is there twice"
            values[labels] = sample.value
    return found


def of(filled_store: FilledStore) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    return read(
        prometheus(filled_store.state, Folders([str(filled_store.inbox)], [str(filled_store.outbox)]), None, NOW).text
    )


def test_jobs_are_counted_by_rule_and_state_as_status_counts_them(filled_store: FilledStore) -> None:
    jobs = of(filled_store)["lalald_jobs"]
    by_state = {
        state: sum(count for labels, count in jobs.items() if dict(labels)["state"] == state) for state in State
    }
    assert by_state == {State.WAITING: 4, State.HELD: 2, State.FAILED: 1, State.CANCELLED: 1, State.DONE: 1}
    assert jobs[("rule", "podcasts"), ("state", "done")] == 1
    assert jobs[("rule", "remix"), ("state", "done")] == 0  # a series that begins at 0 has a rate


def test_metrics_of_holds_charges_minutes_and_transfers(filled_store: FilledStore) -> None:
    found = of(filled_store)
    assert found["lalald_held_jobs"] == {(("hold", "lost_task"),): 1, (("hold", "minutes"),): 1}
    assert found["lalald_paid_time_left_seconds"] == {(): pytest.approx((42.5 - 9.0) * 60)}
    charged = {dict(labels)["mode"]: value for labels, value in found["lalald_charged_time_seconds_total"].items()}
    assert charged == {"voice_clean": 180, "stem_separator": 180, "multistem": 360}
    assert found["lalald_transferring_jobs"] == {(("direction", "upload"),): 1, (("direction", "download"),): 0}
    assert found["lalald_transfer_bytes_per_second"][(("direction", "upload"),)] == 250_000
    assert found["lalald_folder_available"] == {(("kind", "inbox"), ("path", str(filled_store.inbox))): 1}


def test_a_stage_takes_from_the_end_of_the_one_before_to_its_own(filled_store: FilledStore) -> None:
    with filled_store.store() as store:
        for seconds in (10.0, 30.0):
            job = filled_store.take(store, f"podcasts/{seconds}.mp3", NOW - HOUR)
            begin = job.created_at + seconds
            task = replace(job.tasks[0], stage=Stage.DONE, task_id=f"t{seconds}", minutes=3.0, started_at=begin + 5)
            done = replace(job.with_task(task), stage=Stage.DONE, state=State.DONE, uploaded_at=begin, delivered_at=begin + 65,
                           finished_at=begin + 66, updated_at=begin + 66)  # fmt: skip
            store.save(job, done)
    found = of(filled_store)
    mean = {dict(labels)["stage"]: value for labels, value in found["lalald_stage_seconds_mean"].items()}
    assert mean == {"upload": 20, "split": 5, "check_and_download": 60, "delete_and_archive": 1}
    assert found["lalald_stage_seconds_max"][(("stage", "upload"),)] == 30
    assert found["lalald_finished_jobs_last_day"] == {(): 2}


def test_a_daemon_that_runs_and_one_that_does_not(filled_store: FilledStore) -> None:
    assert of(filled_store)["lalald_up"] == {(): 0}
    with answering(filled_store.state):
        assert of(filled_store)["lalald_up"] == {(): 1}


def test_names_with_quotes_backslashes_and_newlines_are_labels_as_good_as_any(tmp_path: Path) -> None:
    odd = FilledStore(tmp_path / 'a "b" \\ c\nd')
    odd.fill()
    labels = next(iter(of(odd)["lalald_folder_available"]))
    assert dict(labels)["path"].endswith('a "b" \\ c\\nd/inbox')  # the newline as it is shown everywhere


def test_a_new_state_folder_has_metrics_too(tmp_path: Path) -> None:
    filled_store = FilledStore(tmp_path)
    with filled_store.store():
        pass
    assert of(filled_store)["lalald_up"] == {(): 0}


def test_the_command_prints_them_and_ends_as_status_does(filled_store: FilledStore) -> None:
    ended, out, complaints = filled_store.call("status", "--prometheus")
    assert (ended, complaints) == (3, "")  # it is not running
    assert read(out)["lalald_up"] == {(): 0}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    return found


def test_prometheus_own_tool_has_nothing_to_say_about_them(filled_store: FilledStore, promtool: str) -> None:
    said = prometheus(filled_store.state, None, None, NOW).text
    judged = subprocess.run(
        [promtool, "check", "metrics"], input=said, capture_output=True, text=True, timeout=60, check=False
    )
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")
