"""The sandbox answers every client as the service's document describes."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support import sounds
from tests.support.sandbox_client import Caller, new_key, wav_bytes

DAY_SECONDS = 86_400
HALF_AN_HOUR_OF_QUEUE = Options(queue_seconds=1800, processing_seconds=100)
OPERATIONS = [
    "upload", "check", "cancel", "cancel/all", "delete", "limits/minutes_left", "split/stem_separator", "split/demuser",
    "split/voice_clean", "split/multistem", "split/batch/stem_separator", "split/batch/demuser",
    "split/batch/voice_clean", "change_voice", "voice_packs/list",
]  # fmt: skip


@pytest.fixture
def caller(sandbox: Sandbox) -> Caller:
    return Caller(sandbox)


@pytest.fixture
def slow() -> Iterator[tuple[Sandbox, Caller]]:
    """A sandbox whose tasks wait half an hour and then take 100 s; the test advances its clock."""
    with Sandbox(HALF_AN_HOUR_OF_QUEUE) as sandbox:
        yield sandbox, Caller(sandbox)


def refused(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


def test_a_client_like_the_services_examples_gets_its_stems(sandbox: Sandbox) -> None:
    def call(operation: str, body: bytes, **headers: str) -> Any:
        headers = {"X-License-Key": "k", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"{sandbox.url}/api/v1/{operation}/", body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    song = wav_bytes(3)
    source = call("upload", song, **{"Content-Disposition": "attachment; filename*=utf-8''S%C3%B8ng.wav"})
    presets = {"stem": "vocals", "splitter": "perseus", "encoder_format": "wav"}
    started = call("split/stem_separator", json.dumps({"source_id": source["id"], "presets": presets}).encode())
    deadline = time.monotonic() + 5
    while (reply := call("check", json.dumps({"task_ids": [started["task_id"]]}).encode())["result"]) and (
        reply[started["task_id"]]["status"] == "progress"
    ):
        assert time.monotonic() < deadline
    tracks = reply[started["task_id"]]["result"]["tracks"]
    files = {}
    for track in tracks:
        with urllib.request.urlopen(track["url"], timeout=10) as file:
            files[track["label"]] = file.read()

    assert source == {**source, "name": "Søng.wav", "size": len(song), "duration": 3}
    assert set(files) == {"vocals", "no_vocals"}
    assert all(song[44:] in file for file in files.values())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_needs_a_key(sandbox: Sandbox, caller: Caller, operation: str) -> None:
    answer = caller.post(operation, headers={"X-License-Key": ""})

    assert (answer.status_code, answer.json()) == (403, {"detail": "Provide license key in 'X-License-Key' header"})
    assert "www-authenticate" not in answer.headers
    assert sandbox.state()["sources"] == []


def test_only_the_configured_keys_are_accepted(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.set_keys("right", "also-right")

    assert caller.post("limits/minutes_left").status_code == 403
    assert Caller(sandbox, "also-right").post("limits/minutes_left").status_code == 200


def test_every_answer_has_its_own_request_id(caller: Caller) -> None:
    answers = [
        caller.post("limits/minutes_left"),
        caller.post("delete", {}),
        caller.post("nothing"),
        caller.request("GET", "/api/v1/upload/"),
    ]

    assert [answer.status_code for answer in answers] == [200, 422, 404, 405]
    assert [answer.json().get("detail") for answer in answers[2:]] == ["Not Found", "Method Not Allowed"]
    request_ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(request_ids) == 4
    assert all(len(bytes.fromhex(request_id)) == 16 for request_id in request_ids)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=song.mp3", "song.mp3"),
        ('attachment; filename="my song; live.mp3"', "my song; live.mp3"),
        (r'attachment; filename="a \"quoted\" \\ name.mp3"', 'a "quoted" \\ name.mp3'),
        ("attachment;filename=plain.mp3;filename*=UTF-8''%E2%82%AC%20rates.mp3", "€ rates.mp3"),
        ("ATTACHMENT; FileName*=iso-8859-1'en'%A3.mp3", "£.mp3"),
        ("attachment; filename*=no-such''%C1.mp3; filename=fallback.mp3", "fallback.mp3"),
        ("attachment; filename*=rot13''%C1.mp3; filename=fallback.mp3", "fallback.mp3"),
        ("attachment; filename*=koi8-r''%C1.mp3", "а.mp3"),
        ("attachment; filename*=latin1''%A3.mp3", "£.mp3"),
        ("attachment; filename=my song.mp3", "my song.mp3"),
        ("attachment; filename=my song.mp3; size=4", "my song.mp3"),
        ("attachment; filename=my song; live.mp3", "my song"),
        ('attachment; filename="a "b" c.mp3"', 'a "b" c.mp3'),
        ('attachment; filename="song.mp3";', "song.mp3"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
    ],
)
def test_the_file_name_is_read_from_the_header(caller: Caller, disposition: str, name: str) -> None:
    assert caller.post_file(b"abc", disposition).json()["name"] == name


def test_a_name_in_plain_utf_8_is_understood(caller: Caller) -> None:
    headers = [(b"Content-Disposition", 'attachment; filename="Søng.mp3"'.encode())]

    assert caller.post("upload", content=b"abc", headers=headers).json()["name"] == "Søng.mp3"


def test_an_upload_without_a_name_a_body_or_room_is_refused(caller: Caller) -> None:
    with Sandbox(Options(upload_limit_bytes=10)) as small:
        too_large = Caller(small).post_file(b"eleven byte")
        chunked = Caller(small).post(
            "upload", content=iter([b"eleven", b" byte"]), headers={"Content-Disposition": "a; filename=b"}
        )
        kept = small.state()["sources"]

    missing = caller.post("upload", content=b"abc")
    assert missing.status_code == 422
    assert missing.json()["detail"][0] == {
        "loc": ["header", "Content-Disposition"],
        "msg": "Field required",
        "type": "missing",
    }
    assert refused(caller.post_file(b"abc", "attachment")) == (400, None)
    assert refused(caller.post_file(b"")) == (400, None)
    assert refused(too_large) == refused(chunked) == (400, "exceeded_size")
    assert kept == []


def test_the_duration_is_read_from_the_file_if_possible(caller: Caller) -> None:
    durations = [
        caller.post_file(body).json()["duration"] for body in (wav_bytes(7), b"RIFF but no more", b"noise" * 1000)
    ]

    assert durations == [7, 60, 60]


def test_a_configured_duration_overrides_the_file(sandbox: Sandbox, caller: Caller) -> None:
    def reply(name: str, body: bytes) -> int:
        said: int = caller.post_file(body, f"attachment; filename={name}").json()["duration"]
        return said

    sandbox.set_durations({"*.mpg": 5400, "short.*": 3, "none.wav": 0})
    assert [reply("film.mpg", b"film"), reply("short.mpg", b"film"), reply("none.wav", wav_bytes(7))] == [5400, 3, 0]
    assert reply("other.wav", wav_bytes(7)) == 7
    assert sandbox.state()["durations"] == {"*.mpg": 5400, "short.*": 3, "none.wav": 0}


def test_a_duration_that_needs_decoding_is_the_default(caller: Caller) -> None:
    gsm = sounds.wav(sounds.wav_format(0x31, bits=0, block=65, byte_rate=1625), sounds.chunk(b"data", bytes(97_500)))
    bodies = (
        gsm,
        sounds.mp3(10, (32, 320)),
        sounds.xing(383, 417 * 384, name=b"Info") + sounds.mp3(10),
        sounds.opus(10),
    )
    assert [caller.post_file(body).json()["duration"] for body in bodies] == [60, 60, 10, 10]


GOOD_PRESETS: list[tuple[str, dict[str, Any]]] = [
    (
        "stem_separator",
        {"stem": "vocals", "multivocal": "lead_back", "splitter": "andromeda", "encoder_format": "flac"},
    ),
    ("stem_separator", {"stem": "wind"}),
    ("stem_separator", {"stem": "strings", "splitter": "phoenix", "extraction_level": "clear_cut"}),
    ("stem_separator", {"stem": "drum", "multivocal": None, "encoder_format": None, "from_the_future": 1}),
    ("multistem", {"stem_list": ["vocals", "drum", "piano", "bass", "electric_guitar", "acoustic_guitar"]}),
    ("demuser", {"stem": "music", "dereverb_enabled": True}),
    ("voice_clean", {"stem": "voice", "noise_cancelling_level": 2}),
]
BAD_PRESETS: list[tuple[str, dict[str, Any], str]] = [
    ("stem_separator", {}, "stem"),
    ("stem_separator", {"stem": "voice"}, "stem"),
    ("stem_separator", {"stem": "vocals", "splitter": "automatic"}, "splitter"),
    ("stem_separator", {"stem": "vocals", "splitter": None}, "splitter"),
    ("stem_separator", {"stem": "vocals", "encoder_format": "opus"}, "encoder_format"),
    ("stem_separator", {"stem": "vocals", "dereverb_enabled": "true"}, "dereverb_enabled"),
    ("stem_separator", {"stem": "drum", "multivocal": "lead_back"}, "presets"),
    ("stem_separator", {"stem": "wind", "splitter": "perseus"}, "presets"),
    ("multistem", {"stem_list": []}, "stem_list"),
    ("multistem", {"stem_list": ["vocals", "vocals"]}, "presets"),
    ("multistem", {"stem_list": ["wind"]}, "0"),
    ("demuser", {"stem": "voice"}, "stem"),
    ("voice_clean", {"stem": "voice", "noise_cancelling_level": 3}, "noise_cancelling_level"),
    ("voice_clean", {"stem": "voice", "noise_cancelling_level": True}, "noise_cancelling_level"),
]


@pytest.mark.parametrize(("mode", "presets"), GOOD_PRESETS)
def test_presets_of_the_document_are_accepted(caller: Caller, mode: str, presets: dict[str, Any]) -> None:
    assert caller.split(caller.upload(), mode, **presets).status_code == 200


@pytest.mark.parametrize(("mode", "presets", "where"), BAD_PRESETS)
def test_other_presets_are_refused_with_their_location(
    sandbox: Sandbox, caller: Caller, mode: str, presets: dict[str, Any], where: str
) -> None:
    answer = caller.post(f"split/{mode}", {"source_id": str(uuid4()), "presets": presets})

    assert answer.status_code == 422
    (mistake,) = answer.json()["detail"]
    assert (set(mistake), str(mistake["loc"][-1])) == ({"loc", "msg", "type"}, where)
    assert sandbox.state()["charges"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"source_id": "song.wav", "presets": {"stem": "voice"}}'])
def test_an_invalid_body_is_refused(caller: Caller, body: bytes) -> None:
    answer = caller.post("split/voice_clean", content=body)

    assert answer.status_code == 422
    assert all(set(mistake) == {"loc", "msg", "type"} for mistake in answer.json()["detail"])


@pytest.mark.parametrize(
    ("mode", "presets", "tracks"),
    [
        ("stem_separator", {"stem": "drum"}, ["stem drum", "back no_drum"]),
        (
            "stem_separator",
            {"stem": "vocals", "multivocal": "lead_back"},
            ["stem vocals@0", "stem vocals@1", "back no_vocals", "back mix_no_lead"],
        ),
        ("multistem", {"stem_list": ["vocals", "bass"]}, ["stem vocals", "stem bass", "back no_multistem"]),
        ("demuser", {"stem": "music"}, ["stem music", "back no_music"]),
        ("voice_clean", {"stem": "voice"}, ["stem voice", "back no_voice"]),
    ],
)
def test_each_mode_makes_its_tracks(caller: Caller, mode: str, presets: dict[str, Any], tracks: list[str]) -> None:
    reply = caller.checked(caller.task(caller.upload(), mode, **presets))

    assert [f"{track['type']} {track['label']}" for track in reply["result"]["tracks"]] == tracks
    assert reply["presets"] == {**reply["presets"], **presets, "task_type": "split", "label": mode}


def test_change_voice_makes_one_track(caller: Caller) -> None:
    source_id = caller.upload(name="talk.mp3")
    presets = {"voice_pack_id": "VETRANA", "encoder_format": "ogg"}
    task_id = caller.post("change_voice", {"source_id": source_id, "presets": presets}).json()["task_id"]
    reply = caller.checked(task_id)

    (track,) = reply["result"]["tracks"]
    assert (track["type"], track["label"], track["name"]) == ("back", "converted_mix", "talk_converted_mix.ogg")
    assert reply["presets"]["task_type"] == "voice_convert"


def test_accepted_voices_are_in_the_document_or_the_list(caller: Caller) -> None:
    source_id, (own,) = caller.upload(), caller.post("voice_packs/list").json()["packs"]

    def status(**presets: Any) -> int:
        return caller.post("change_voice", {"source_id": source_id, "presets": presets}).status_code

    assert [status(voice_pack_id=voice) for voice in ("NIK_ZEL", own["pack_id"], "NOBODY")] == [200, 200, 400]
    assert [status(voice_pack_id="NIK_ZEL", accent=accent) for accent in (0, 1.0, 1.1, -0.1)] == [200, 200, 422, 422]


def test_a_listed_voice_has_ready_to_use(caller: Caller) -> None:
    assert [pack["ready_to_use"] for pack in caller.post("voice_packs/list").json()["packs"]] == [True]


def test_backing_vocals_can_be_turned_off() -> None:
    with Sandbox(Options(backing_vocals=False)) as sandbox:
        caller = Caller(sandbox)
        task_id = caller.task(caller.upload(), "stem_separator", stem="vocals", multivocal="lead_back")

        assert [track["label"] for track in caller.tracks(task_id)] == ["vocals@0", "no_vocals", "mix_no_lead"]


def test_a_task_is_queued_then_processed_then_done(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    task_id = caller.task(caller.upload())
    reply = [caller.checked(task_id)]
    for seconds in (1801, 50, 50):
        sandbox.advance(seconds)
        reply.append(caller.checked(task_id))

    assert [each["status"] for each in reply] == ["progress", "progress", "progress", "success"]
    assert reply[0]["progress"] == 0
    assert 1 <= reply[1]["progress"] < 10
    assert 45 < reply[2]["progress"] < 60


def test_processing_takes_longer_for_more_audio_and_more_stems() -> None:
    with Sandbox(Options(processing_seconds=1, processing_seconds_per_minute=600)) as sandbox:
        caller = Caller(sandbox)
        source_id = caller.upload(wav_bytes(6))
        one, two = caller.task(source_id), caller.task(source_id, "multistem", stem_list=["vocals", "drum"])
        sandbox.advance(62)

        assert [caller.checked(task_id)["status"] for task_id in (one, two)] == ["success", "progress"]


def test_an_idempotency_key_returns_the_same_task_until_it_starts(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    source_id, key = caller.upload(), new_key()
    first, again = caller.task(source_id, key=key), caller.task(source_id, key=key)
    in_batch = caller.batch(source_id, key=key).json()["results"][0]
    sandbox.advance(1801)

    assert first == again == in_batch["task_id"]
    assert refused(caller.split(source_id, key=key)) == (400, "idempotency_key_used")
    (late,) = caller.batch(source_id, key=key).json()["results"]
    assert late == {**late, "status": "error", "code": "idempotency_key_used", "source_id": source_id}
    assert len(sandbox.state()["charges"]) == 1


def test_an_idempotency_key_is_used_by_a_cancel_and_not_by_a_refusal(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    source_id, key = caller.upload(), new_key()
    sandbox.set_minutes(0)
    no_minutes = caller.split(source_id, key=key)
    sandbox.set_minutes(10)
    task_id = caller.task(source_id, key=key)
    caller.post("cancel", {"task_ids": [task_id]})

    assert refused(no_minutes) == (400, "exceeded_duration")
    assert refused(caller.split(source_id, key=key)) == (400, "idempotency_key_used")


def test_minutes_are_charged_by_duration_and_stems(sandbox: Sandbox, caller: Caller) -> None:
    body, key = wav_bytes(30), new_key()
    source_id = caller.upload(body, "half a minute.wav")
    task_id = caller.task(source_id, key=key)
    caller.task(source_id, "multistem", stem_list=["vocals", "drum", "bass"])
    first, second = sandbox.state()["charges"]

    assert (first["minutes"], second["minutes"]) == (0.5, 1.5)
    assert caller.post("limits/minutes_left").json() == {"minutes_left": 998.0}
    assert first == {
        "at": first["at"],
        "task_id": task_id,
        "source_id": source_id,
        "source_name": "half a minute.wav",
        "mode": "voice_clean",
        "idempotency_key": key,
        "minutes": 0.5,
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_decimal_minutes_have_no_rounding_error(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.set_minutes(0.3)
    source_id = caller.upload(wav_bytes(6))
    assert [caller.split(source_id).status_code for _ in range(4)] == [200, 200, 200, 400]
    assert caller.post("limits/minutes_left").json() == {"minutes_left": 0}
    sandbox.set_minutes(0.3)
    caller.task(source_id)
    assert caller.post("limits/minutes_left").json() == {"minutes_left": 0.2}


def test_each_license_key_has_its_own_account(sandbox: Sandbox) -> None:
    one, other = Caller(sandbox, "one"), Caller(sandbox, "other")
    source_id = one.upload(wav_bytes(60))
    task_id = one.task(source_id)

    assert refused(other.split(source_id)) == (400, None)
    assert other.checked(task_id)["status"] == "server_error"
    assert other.post("cancel", {"task_ids": [task_id]}).json()["result"][task_id]["status"] == "server_error"
    assert other.post("cancel/all").json()["result"] == {}
    other.post("delete", {"source_id": source_id})
    assert one.checked(task_id)["status"] == "success"
    assert sandbox.state()["accounts"] == {"one": 999.0, "other": 1000.0}
    key = new_key()
    assert one.task(source_id, key=key) != other.task(other.upload(), key=key)


def test_a_task_without_enough_minutes_is_refused_and_free(sandbox: Sandbox, caller: Caller) -> None:
    source_id = caller.upload(wav_bytes(60))
    sandbox.set_minutes(1)

    assert refused(caller.split(source_id, "multistem", stem_list=["vocals", "drum"])) == (400, "exceeded_duration")
    assert caller.split(source_id).status_code == 200
    assert caller.post("limits/minutes_left").json() == {"minutes_left": 0}


@pytest.mark.parametrize(
    ("options", "code"),
    [(Options(max_duration_seconds=1), "max_duration"), (Options(max_size_bytes=1000), "exceeded_size")],
)
def test_a_plan_has_its_limits(options: Options, code: str) -> None:
    with Sandbox(options) as sandbox:
        caller = Caller(sandbox)
        source_id = caller.upload()

        assert refused(caller.split(source_id)) == (400, code)
        assert caller.batch(source_id).json()["results"][0]["code"] == code
        assert sandbox.state()["charges"] == []


def test_a_batch_answers_each_item_in_order(sandbox: Sandbox, caller: Caller) -> None:
    ids = [caller.upload(), str(uuid4()), caller.upload()]
    results = caller.batch(*ids).json()["results"]

    assert [(each["source_id"], each["status"]) for each in results] == list(
        zip(ids, ["success", "error", "success"], strict=True)
    )
    assert "already been deleted" in results[1]["error"]
    assert [charge["source_id"] for charge in sandbox.state()["charges"]] == [ids[0], ids[2]]


def test_a_batch_has_one_to_a_hundred_items(caller: Caller) -> None:
    source_id = caller.upload()

    assert [caller.batch(*[source_id] * count).status_code for count in (0, 1, 100, 101)] == [422, 200, 200, 422]


def test_a_plan_without_batches_refuses_each_item_or_the_request() -> None:
    with Sandbox(Options(batch="per-item")) as per_item, Sandbox(Options(batch="refused")) as altogether:
        each, whole = (Caller(sandbox).batch(Caller(sandbox).upload()) for sandbox in (per_item, altogether))

    assert (each.status_code, each.json()["results"][0]["code"]) == (200, "batch_not_avaliable")
    assert refused(whole) == (400, "batch_not_avaliable")


def test_thirty_checks_a_minute_and_no_more(sandbox: Sandbox, caller: Caller) -> None:
    statuses = [caller.post("check", {"task_ids": []}).status_code for _ in range(31)]
    late = caller.post("check", {"task_ids": []})
    sandbox.advance(60)

    assert statuses == [200] * 30 + [429]
    assert "retry-after" not in late.headers
    assert late.json() == {"detail": "Too Many Requests"}
    assert caller.post("check", {"task_ids": []}).status_code == 200


def test_a_check_takes_two_hundred_ids(caller: Caller) -> None:
    ids = [str(uuid4()) for _ in range(201)]

    reply = caller.check(*ids[:200])

    assert list(reply) == ids[:200]
    assert reply[ids[0]] == {"status": "server_error", "error": "Failed to extract information about task"}
    assert caller.post("check", {"task_ids": ids}).status_code == 422


def test_a_task_can_be_checked_for_a_day(sandbox: Sandbox, caller: Caller) -> None:
    task_id = caller.task(caller.upload())
    sandbox.advance(DAY_SECONDS - 60)
    before = caller.checked(task_id)["status"]
    sandbox.advance(61)

    assert (before, caller.checked(task_id)["status"]) == ("success", "server_error")
    assert caller.post("cancel", {"task_ids": [task_id]}).json()["result"][task_id]["status"] == "server_error"


def test_a_source_expires_at_its_time(sandbox: Sandbox, caller: Caller) -> None:
    source = caller.post_file(wav_bytes(2)).json()
    sandbox.advance(DAY_SECONDS)

    assert source["expires"] == pytest.approx(time.time() + DAY_SECONDS, abs=60)
    assert caller.split(source["id"]).json()["detail"].startswith("The file has not been uploaded properly")
    assert refused(caller.split(source["id"])) == (400, None)


def test_only_queued_and_running_tasks_can_be_cancelled(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    source_id = caller.upload()
    done = caller.task(source_id)
    sandbox.advance(1901)
    queued, unknown = caller.task(source_id), str(uuid4())
    result = caller.post("cancel", {"task_ids": [done, queued, unknown]}).json()["result"]

    assert result == {
        done: {"status": "server_error", "error": "Task is not in progress state"},
        queued: {"status": "success"},
        unknown: {"status": "server_error", "error": "Failed to extract information about task"},
    }
    assert [caller.checked(task_id)["status"] for task_id in (done, queued)] == ["success", "cancelled"]


def test_all_queued_and_running_tasks_can_be_cancelled_at_once(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    source_id = caller.upload()
    caller.task(source_id)
    sandbox.advance(1901)
    running = {caller.task(source_id) for _ in range(3)}

    assert caller.post("cancel/all").json()["result"] == {task_id: {"status": "success"} for task_id in running}
    assert caller.post("cancel/all").json()["result"] == {}


def test_a_delete_cancels_running_tasks_and_keeps_finished_ones(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    source_id = caller.upload()
    done = caller.task(source_id)
    sandbox.advance(1901)
    running = caller.task(source_id)

    assert caller.post("delete", {"source_id": source_id}).json() == {}
    assert [caller.checked(task_id)["status"] for task_id in (done, running)] == ["success", "cancelled"]
    assert refused(caller.post("delete", {"source_id": source_id})) == (400, None)
    assert refused(caller.split(source_id)) == (400, None)


def test_nothing_is_refunded(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    source_id = caller.upload(wav_bytes(60))
    cancelled, failed = caller.task(source_id), caller.task(source_id)
    caller.post("cancel", {"task_ids": [cancelled]})
    sandbox.decide(failed, "error")

    assert caller.post("limits/minutes_left").json() == {"minutes_left": 998.0}


def test_an_outcome_can_be_set(slow: tuple[Sandbox, Caller]) -> None:
    sandbox, caller = slow
    task_id = caller.task(caller.upload())
    sandbox.decide(task_id, "stuck", percent=40)
    sandbox.advance(3600)
    stuck = caller.checked(task_id)
    sandbox.decide(task_id, "error", detail="Unable to detect voice", code=None)
    failed = caller.checked(task_id)
    sandbox.decide(task_id, "success")

    assert (stuck["status"], stuck["progress"]) == ("progress", 40)
    assert failed["status"] == "error"
    assert failed["error"] == {**failed["error"], "detail": "Unable to detect voice", "code": None}
    assert caller.checked(task_id)["status"] == "success"


def test_every_control_works_over_http(caller: Caller) -> None:
    task_id = caller.task(caller.upload())
    settings: dict[str, Any] = {
        "minutes": 5,
        "keys": ["only"],
        "clock": 100,
        f"tasks/{task_id}": {"outcome": "cancelled"},
    }
    answers = [caller.control(name, value) for name, value in settings.items()]
    state = caller.request("GET", "/sandbox/state").json()

    assert [answer.status_code for answer in answers] == [200] * 4
    assert (state["minutes_left"], state["keys"], state["tasks"][0]["status"]) == (5, ["only"], "cancelled")
    assert state["now"] == pytest.approx(time.time() + 100, abs=10)
    assert state["counts"] == {"upload": 1, "split": 1}
    assert [(each["operation"], each["status"], each["subject"]) for each in state["requests"]] == [
        ("upload", 200, "song.wav"),
        ("split", 200, "song.wav"),
    ]
    assert caller.request("GET", "/sandbox/state?requests=0").json()["requests"] == []


@pytest.mark.parametrize(
    ("control", "value"),
    [("minutes", -1), ("keys", "one"), ("clock", None), ("tasks/no-such-task", {"outcome": "lost"}), ("outage", 0)],
)
def test_an_invalid_control_is_refused(caller: Caller, control: str, value: Any) -> None:
    assert caller.control(control, value).status_code == 422


def test_an_outcome_for_an_unknown_task_is_not_found(caller: Caller) -> None:
    answer = caller.control(f"tasks/{uuid4()}", {"outcome": "success"})

    assert (answer.status_code, answer.json()) == (404, {"detail": "no such task"})
