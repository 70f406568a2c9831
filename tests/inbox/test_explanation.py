"""Why a file is processed or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lalald.config import Inbox, Rule, TaskSpec
from lalald.inbox.explanation import explain, folder_refusal
from lalald.store import KnownFile

VOICE = TaskSpec("voice_clean", {"stem": "voice"})


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    path = tmp_path / "inbox"
    path.mkdir()
    return Inbox(
        path=path, outbox=path / "out" / "stems", done_dir=path / "done", failed_dir=tmp_path / "failed",
        rules=(Rule("podcasts", (VOICE,), match=("podcasts/",)), Rule("rest", (VOICE,), match=("*.wav",))),
        ignore=("*.live.wav", "drafts/"),
    )  # fmt: skip


def put(inbox: Inbox, path: str, content: bytes = b"abc") -> str:
    (inbox.path / path).parent.mkdir(parents=True, exist_ok=True)
    (inbox.path / path).write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("path", "rule"), [("podcasts/a.mp3", "podcasts"), ("a.WAV", "rest"), ("PODCASTS/a.wav", "podcasts")]
)
def test_a_file_belongs_to_the_first_rule_that_matches(inbox: Inbox, path: str, rule: str) -> None:
    found = explain(inbox, put(inbox, path))
    assert found.is_processed
    assert found.rule is not None
    assert found.rule.name == rule
    assert rule in found.reason


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("a.mp3", "no rule"), ("notes.txt", "not an audio or video"), ("a.live.wav", "*.live.wav"), ("drafts/a.wav", "drafts/"),
        ("done/a.wav", "done folder"), ("out/stems/a.wav", "outbox folder"), (".a.wav", "hidden"), ("a.wav.part", "temporary"),
        ("@eaDir/a.wav", "a NAS"), ("$RECYCLE.BIN/a.wav", "a NAS"), ("clip.f137.mp4", "merge"), ("a.temp.wav", "downloader"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_processed_has_a_reason(inbox: Inbox, path: str, word: str) -> None:
    found = explain(inbox, put(inbox, path))
    assert not found.is_processed
    assert word in found.reason


def test_a_file_beside_the_outbox_is_processed(inbox: Inbox) -> None:
    assert explain(inbox, put(inbox, "out/a.wav")).is_processed


def test_symlinks_folders_and_empty_files_are_not_processed(inbox: Inbox) -> None:
    put(inbox, "a.wav", b"")
    (inbox.path / "link.wav").symlink_to("a.wav")
    (inbox.path / "folder.wav").mkdir()
    (inbox.path / "linked").symlink_to(inbox.path)
    reasons = [explain(inbox, path).reason for path in ("a.wav", "link.wav", "folder.wav", "linked/a.wav", "gone.wav")]
    for reason, word in zip(reasons, ("empty", "symlink", "folder", "symlink", "does not exist"), strict=True):
        assert word in reason


def test_a_download_with_its_control_file_beside_it_is_not_finished(inbox: Inbox) -> None:
    for path, control in (("a.wav", "a.wav.aria2"), ("sub/album/cd1/a.wav", "sub/album.aria2")):
        put(inbox, path)
        put(inbox, control)
        found = explain(inbox, path)
        assert (found.is_processed, control in found.reason) == (False, True)
        assert found.rule is not None
        (inbox.path / control).unlink()
        assert explain(inbox, path).is_processed


def test_absolute_paths_in_the_inbox_are_understood(inbox: Inbox, tmp_path: Path) -> None:
    put(inbox, "a.wav")
    assert explain(inbox, inbox.path / "a.wav").is_processed
    assert "is not in the inbox" in explain(inbox, tmp_path / "a.wav").reason
    assert "is not in the inbox" in explain(inbox, "../a.wav").reason


def test_without_recursive_subfolders_are_skipped(inbox: Inbox) -> None:
    flat = replace(inbox, recursive=False)
    assert "not `recursive`" in explain(flat, put(inbox, "sub/a.wav")).reason
    assert folder_refusal(flat, "sub") is not None


def test_a_known_file_is_explained_by_its_job_or_its_note(inbox: Inbox) -> None:
    put(inbox, "a.wav")
    facts = (inbox.path / "a.wav").stat()
    job = explain(inbox, "a.wav", KnownFile(facts.st_size, facts.st_mtime_ns, 7, None))
    assert (job.job_id, job.is_processed) == (7, True)
    note = explain(inbox, "a.wav", KnownFile(facts.st_size, facts.st_mtime_ns, None, "existing: skip: it was there"))
    assert (note.is_processed, note.reason) == (False, "existing: skip: it was there")


def test_new_content_of_a_known_file_is_processed_unless_changed_is_skip(inbox: Inbox) -> None:
    put(inbox, "a.wav")
    assert explain(inbox, "a.wav", KnownFile(1, 1, 7, None)).is_processed
    found = explain(replace(inbox, changed="skip"), "a.wav", KnownFile(1, 1, 7, None))
    assert (found.is_processed, found.job_id) == (False, 7)
    assert found.reason.startswith("changed: skip")


def test_a_folder_with_a_negated_pattern_is_still_entered(inbox: Inbox) -> None:
    assert folder_refusal(inbox, "drafts") is not None
    assert folder_refusal(replace(inbox, ignore=("drafts/*", "!drafts/a.wav")), "drafts") is None
