"""Answers are parsed leniently: an odd part does not affect the others."""

from __future__ import annotations

import math
import ssl
from contextlib import suppress
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.api import AnsweredTrack, Started, StartRefused, TaskAnswer, Uploaded, VoicePack, answers, error_mapping
from lalald.api.error_mapping import Reply
from lalald.errors import TransientError, UnusableAnswerError

REPLY = Reply(200, {"x-request-id": "0123abcd"}.get, b"")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TRACK = {"type": "stem", "label": "vocals", "url": "https://d.lalal.ai/1"}


def one(item: Any) -> TaskAnswer:
    return answers.checked({"result": {"t": item}}, REPLY, ["t"])["t"]


def success(*tracks: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "result": {"tracks": list(tracks), "duration": 16, **more}}


def test_the_documents_own_example_is_understood() -> None:
    result = {
        "a": {
            "presets": {"label": "enhanced", "task_type": "split"},
            "result": {
                "duration": 16,
                "tracks": [
                    {"label": "vocals", "type": "stem", "url": "http://d.lalal.ai/2fe8/abcd/vocals"},
                    {"label": "no_vocals", "type": "back", "url": "http://d.lalal.ai/2fe8/abcd/no_vocals"},
                ],
            },
            "source_id": "s",
            "status": "success",
        },
        "b": {
            "error": "['The file has not been uploaded properly or has already been deleted. Please upload it again.']",
            "status": "server_error",
        },
        "c": {"progress": 42, "source_id": "s", "status": "progress"},
        "d": {
            "error": {"code": "inference_error", "detail": "Unable to detect voice/vocals", "id": "77"},
            "status": "error",
        },
        "e": {"status": "cancelled", "source_id": "s"},
    }
    gone = "The file has not been uploaded properly or has already been deleted. Please upload it again"
    assert answers.checked({"result": result}, REPLY, list("abcde")) == {
        "a": TaskAnswer(
            "success",
            progress=100,
            tracks=(
                AnsweredTrack("stem", "vocals", "http://d.lalal.ai/2fe8/abcd/vocals"),
                AnsweredTrack("back", "no_vocals", "http://d.lalal.ai/2fe8/abcd/no_vocals"),
            ),
            duration=16.0,
        ),
        "b": TaskAnswer("server_error", error=gone, gone=True),
        "c": TaskAnswer("progress", progress=42),
        "d": TaskAnswer("error", error="Unable to detect voice/vocals", error_code="inference_error", error_id="77"),
        "e": TaskAnswer("cancelled"),
    }


def test_unrequested_tasks_are_ignored_and_missing_ones_are_missing() -> None:
    said = {"result": {"x": {"status": "cancelled"}, "t": {"status": "cancelled"}}}
    assert answers.checked(said, REPLY, ["t", "u"]) == {"t": TaskAnswer("cancelled")}


@pytest.mark.parametrize("item", [None, 5, "progress", [], {}, {"status": "resting"}, {"status": None}])
def test_an_item_that_cannot_be_read_is_unknown(item: Any) -> None:
    assert one(item).status == "unknown"
    assert one(item).error


@pytest.mark.parametrize(
    ("said", "percent"), [(0, 0), ("42", 42), (99.9, 99), (-3, 0), (1000, 100), (None, 0), ([], 0), (float("nan"), 0)]
)
def test_progress_is_always_a_percentage(said: Any, percent: int) -> None:
    assert one({"status": "progress", "progress": said}) == TaskAnswer("progress", progress=percent)


def test_a_failed_task_says_why_in_any_shape() -> None:
    assert one({"status": "error", "error": "Too quiet."}).error == "Too quiet"
    assert one({"status": "error", "error": {"detail": ["Too quiet."]}}).error == "Too quiet"
    assert one({"status": "error"}).error == "the service does not say why"
    assert one({"status": "error", "error": {"detail": "x", "code": 5, "id": {}}}) == TaskAnswer("error", error="x")


@pytest.mark.parametrize("words", ["Permission denied", "Failed to extract information about task", "", None])
def test_only_words_that_say_so_mean_that_a_file_is_gone(words: Any) -> None:
    assert not one({"status": "server_error", "error": words}).gone


@pytest.mark.parametrize(("said", "size"), [(5, 5), ("5", 5), (None, None), ("many", None), (-1, None), (True, None)])
def test_a_tracks_size_is_a_number_or_nothing(said: Any, size: int | None) -> None:
    assert one(success({**TRACK, "size": said})).tracks[0].size == size


@pytest.mark.parametrize("nothing", [None, "", 5, [], {}])
def test_a_track_without_a_link_or_label_is_incomplete(nothing: Any) -> None:
    (linkless,) = one(success({**TRACK, "url": nothing})).tracks
    (nameless,) = one(success({**TRACK, "label": nothing})).tracks
    assert (linkless.label, linkless.url) == ("vocals", "")
    assert (nameless.label, nameless.url) == ("", TRACK["url"])
    assert one(success({**TRACK, "label": nothing, "url": nothing})).tracks == ()


@pytest.mark.parametrize("result", [None, 5, "none", [], {}, {"tracks": None}, {"tracks": {"vocals": TRACK}}])
def test_a_success_without_a_list_of_tracks_has_none(result: Any) -> None:
    answer = one({"status": "success", "result": result})
    assert (answer.status, answer.tracks) == ("success", ())


@pytest.mark.parametrize("status", ["success", "SUCCESS", "Success", " success\n"])
def test_a_status_is_the_same_in_any_case(status: str) -> None:
    assert one({**success(TRACK), "status": status}).status == "success"


def test_new_types_labels_and_fields_survive() -> None:
    guitar = {"type": "dry", "label": "guitar", "url": "https://x/1", "waveform": "w", "mood": {"a": 1}}
    assert one(success(guitar)).tracks == (AnsweredTrack("dry", "guitar", "https://x/1"),)


@pytest.mark.parametrize("field", ["size", "duration", "expires"])
@pytest.mark.parametrize("value", [17612174, "17612174", 17612174.0])
def test_an_uploads_numbers_may_be_strings(field: str, value: Any) -> None:
    said = {"id": "s", "name": "n", "size": 1, "duration": 1, "expires": 1, field: value}
    read = answers.uploaded(said, REPLY, name="n", sha256="0f")
    assert {"size": read.size, "duration": read.duration, "expires": read.expires_at}[field] == 17612174


def test_an_upload_may_leave_out_what_is_not_needed() -> None:
    read = answers.uploaded({"id": "s", "size": 9, "duration": 2.5}, REPLY, name="mine.mp3", sha256="0f")
    assert read == Uploaded("s", "mine.mp3", 9, 2.5, None, "0f", reported_duration="2.5")


@pytest.mark.parametrize("odd", [{"id": None}, {"id": ""}, {"id": 5}, {"id": "x" * 201}])
def test_an_upload_without_an_id_is_unusable(odd: dict[str, Any]) -> None:
    with pytest.raises(UnusableAnswerError) as caught:
        answers.uploaded({"id": "s", "size": 9, "duration": 2, **odd}, REPLY, name="n", sha256="0f")
    assert caught.value.answered
    assert caught.value.request_id == "0123abcd"
    assert "id" in str(caught.value)


@pytest.mark.parametrize("size", [None, -1, 1.5, True, 1e300])
def test_an_impossible_size_is_ignored(size: Any) -> None:
    assert answers.uploaded({"id": "s", "size": size, "duration": 2}, REPLY, name="n", sha256="0f").size is None


@pytest.mark.parametrize("duration", ["long", math.inf, math.nan, None, {}])
def test_a_duration_that_is_not_a_number_is_kept_as_text(duration: Any) -> None:
    read = answers.uploaded({"id": "s", "size": 9, "duration": duration}, REPLY, name="n", sha256="0f")
    assert (read.duration, read.reported_duration) == (None, repr(duration))


def test_unreadable_voice_packs_are_ignored() -> None:
    packs = [{"name": "A", "pack_id": "1", "created": 5}, None, {"name": "B"}, {"name": "C", "pack_id": "3"}]
    assert answers.voice_packs({"packs": packs}, REPLY) == [VoicePack("A", "1", 5.0), VoicePack("C", "3", None)]


def started(*results: Any, sources: tuple[str, ...]) -> list[Started | StartRefused]:
    return answers.started({"results": list(results)}, REPLY, sources)


def ok(source: str | None, task: Any) -> dict[str, Any]:
    return {"status": "success", "task_id": task, "source_id": source}


def is_unanswered(answer: Started | StartRefused) -> bool:
    return isinstance(answer, StartRefused) and answer.unanswered and answer.code is None


def test_a_batch_of_one_source_twice_goes_by_its_order() -> None:
    assert started(ok("a", "1"), ok("a", "2"), sources=("a", "a")) == [Started("1"), Started("2")]


def test_source_ids_are_compared_in_any_spelling() -> None:
    assert started(ok("AB-CD", "1"), sources=("abcd",)) == [Started("1")]


def test_a_batch_that_names_no_sources_goes_by_its_order() -> None:
    assert started(ok(None, "1"), {"task_id": "2"}, sources=("a", "b")) == [Started("1"), Started("2")]


def test_a_batch_in_another_order_goes_by_its_sources() -> None:
    assert started(ok("b", "2"), ok("a", "1"), sources=("a", "b")) == [Started("1"), Started("2")]


def test_in_a_batch_that_is_too_short_only_the_certain_counts() -> None:
    one_sure, first, second = started(ok("c", "3"), ok("a", "1"), sources=("c", "a", "a"))
    assert one_sure == Started("3")
    assert is_unanswered(first)
    assert is_unanswered(second)


@pytest.mark.parametrize("item", [None, 5, {}, {"status": "success"}, {"status": "error"}, ok("a", None), ok("a", 7)])
def test_an_item_of_a_batch_that_cannot_be_read_may_have_started(item: Any) -> None:
    first, second = started(item, ok("b", "2"), sources=("a", "b"))
    assert is_unanswered(first)
    assert second == Started("2")


def test_a_refused_item_says_why() -> None:
    item = {"status": "error", "error": "Used.", "code": "idempotency_key_used", "source_id": "a"}
    assert started(item, sources=("a",)) == [StartRefused("idempotency_key_used", "Used")]
    assert started({"status": "error", "error": "No."}, sources=("a",)) == [StartRefused(None, "No")]


@given(JSON)
def test_nothing_that_check_may_say_of_a_task_is_an_error(item: Any) -> None:
    assert one(item).status in ("progress", "success", "error", "cancelled", "server_error", "unknown")


@given(JSON)
def test_nothing_that_a_batch_may_say_of_a_task_is_an_error(item: Any) -> None:
    assert len(started(item, sources=("a",))) == 1


@given(JSON)
def test_anything_else_is_an_answer_or_transient(said: Any) -> None:
    for read in (answers.task_id, answers.minutes_left, answers.voice_packs, answers.cancelled):
        with suppress(TransientError):
            read(said, REPLY)


def test_half_a_surrogate_pair_is_not_text() -> None:
    said = error_mapping.reading(Reply(200, {}.get, b'{"a": ["\\ud83d", "\\uD83D\\ude00"], "\\udead": 1}'))
    assert said == {"a": ["?", "😀"], "?": 1}


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_an_answer_that_is_not_json_is_transient(body: bytes) -> None:
    with pytest.raises(TransientError, match="cannot be read"):
        error_mapping.reading(Reply(200, {}.get, body))


@given(JSON)
def test_any_words_become_one_line(said: Any) -> None:
    output = error_mapping.words(said)
    assert len(output) <= 600
    assert output.isprintable()


@given(st.binary(max_size=60), st.integers(100, 999))
def test_any_refusal_is_understood(body: bytes, status: int) -> None:
    error = error_mapping.refusal(Reply(status, {}.get, body))
    assert error.status == status
    assert str(error)


def leaves(kind: type[BaseException]) -> set[type[BaseException]]:
    below = kind.__subclasses__()
    return set().union(*map(leaves, below)) if below else {kind}


HTTPX = leaves(httpx.TransportError) | {httpx.DecodingError, httpx.TooManyRedirects}
HTTPCORE = {kind for name in httpcore.__all__ if isinstance(kind := getattr(httpcore, name), type)}
HTTPCORE = {kind for kind in HTTPCORE if issubclass(kind, Exception) and not kind.__subclasses__()}


@pytest.mark.parametrize("kind", sorted(HTTPX | HTTPCORE, key=lambda kind: f"{kind.__name__} {kind.__module__}"))
def test_every_error_of_httpx_and_httpcore_has_its_own_row(kind: type[BaseException]) -> None:
    assert kind.__name__ in error_table()
    assert kind is httpcore.ConnectionNotAvailable or issubclass(kind, error_mapping.FOREIGN)


def error_table() -> set[str]:
    return set(error_mapping.NETWORK)


def test_every_error_of_the_standard_library_has_a_row_or_a_parent() -> None:
    for kind in leaves(ssl.SSLError) | leaves(OSError):
        if kind.__module__ in ("ssl", "builtins", "socket"):
            assert error_table() & {parent.__name__ for parent in kind.__mro__ if parent is not Exception}
    for error in (
        ssl.SSLCertVerificationError(),
        ConnectionRefusedError(111, "no"),
        TimeoutError(),
        OSError(101, "no"),
    ):
        assert str(error_mapping.lost(error, "host")).startswith("host: ")


def test_the_systems_message_is_preferred_to_a_librarys() -> None:
    error = httpcore.ConnectError("All connection attempts failed")
    error.__context__ = OSError("All connection attempts failed")  # as the pool of httpcore leaves it
    error.__context__.__cause__ = ExceptionGroup(
        "", [ConnectionRefusedError(111, "Connection refused"), OSError(101, "no")]
    )
    output = error_mapping.lost(error, "host")
    assert str(output) == "host: the connection was refused (Connection refused)"
    assert not output.carried_out_possible


def test_a_request_that_was_not_sent_had_no_effect() -> None:
    for error in (httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.PoolTimeout(""), ConnectionRefusedError()):
        assert not error_mapping.lost(error, "host").carried_out_possible
    for error in (httpx.ReadError(""), httpx.ReadTimeout(""), TimeoutError(), ConnectionResetError()):
        assert error_mapping.lost(error, "host").carried_out_possible
