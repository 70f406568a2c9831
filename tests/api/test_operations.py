"""The API's operations against a sandbox, with and without faults."""

from __future__ import annotations

import asyncio
import io
import json
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, TypeVar
from uuid import UUID, uuid4

import pytest

from lalald.api import Client, Deadlines, SplitItem, Started, StartRefused, Transfer, Uploaded
from lalald.config.license_key import LicenseKey
from lalald.errors import (
    ConfigError,
    LicenseRefusedError,
    RateLimitedError,
    RefusedError,
    ServiceError,
    TransientError,
    UnreadableAnswerError,
    UnusableAnswerError,
)
from lalald.sandbox.server import Sandbox
from tests.support.raw_server import RawServer, Talk

KEY = "5e1f-a-license-key-77"
HASTY = Deadlines(connect_seconds=2, answer_seconds=0.3, stall_seconds=0.3, upload_answer_seconds=0.3)
Result = TypeVar("Result")


def client(url: str, deadlines: Deadlines | None = None, key: LicenseKey | None = None) -> Client:
    return Client(url, key or LicenseKey(KEY), upload_rate=None, download_rate=None, deadlines=deadlines or Deadlines())


def ask(url: str, question: Callable[[Client], Awaitable[Result]], deadlines: Deadlines | None = None) -> Result:
    """The answer to one question, on a loop of its own."""

    async def asked() -> Result:
        api = client(url, deadlines)
        try:
            return await question(api)
        finally:
            await api.aclose()

    return asyncio.run(asked())


def refused(url: str, question: Callable[[Client], Awaitable[Any]], deadlines: Deadlines | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ask(url, question, deadlines)
    assert KEY not in repr(caught.value) + str(caught.value)
    return caught.value


def minutes(api: Client) -> Awaitable[float]:
    return api.minutes_left()


def uploaded(api: Client, name: str = "song.mp3", content: bytes = b"some music") -> Uploaded:
    return api.upload(io.BytesIO(content), len(content), name, Transfer())


def item(source_id: str, **presets: Any) -> SplitItem:
    return SplitItem(source_id, presets or {"stem": "vocals"}, str(uuid4()))


def test_a_file_is_uploaded_split_checked_and_deleted(sandbox: Sandbox) -> None:
    async def story(api: Client) -> None:
        source = await asyncio.to_thread(uploaded, api)
        assert (source.name, source.size, source.duration) == ("song.mp3", 10, 60.0)
        assert source.expires_at is not None
        assert source.expires_at > time.time()
        task = await api.split("stem_separator", item(source.source_id))
        answer = (await api.check([task]))[task]
        assert (answer.status, answer.progress, answer.duration) == ("success", 100, 60.0)
        assert [(track.type, track.label) for track in answer.tracks] == [("stem", "vocals"), ("back", "no_vocals")]
        assert all(track.url.startswith(sandbox.files_url) and track.size for track in answer.tracks)
        await api.delete(source.source_id)

    ask(sandbox.url, story)
    assert sandbox.state()["charges"]


def test_a_batch_answers_in_the_order_requested(sandbox: Sandbox) -> None:
    async def story(api: Client) -> list[Started | StartRefused]:
        sources = [await asyncio.to_thread(uploaded, api, f"{number}.mp3") for number in range(3)]
        sandbox.faults({"operation": "batch", "kind": "item_error", "match": "1.mp3", "code": "max_duration"})
        answers = await api.split_batch("voice_clean", [item(source.source_id, stem="voice") for source in sources])
        first = answers[0]
        assert isinstance(first, Started)
        assert (await api.check([first.task_id]))[first.task_id].tracks[0].label == "voice"
        return answers

    answers = ask(sandbox.url, story)
    assert isinstance(answers[0], Started)
    assert answers[1] == StartRefused("max_duration", "Internal error")
    assert isinstance(answers[2], Started)


def test_a_voice_is_changed_through_its_own_operation(sandbox: Sandbox) -> None:
    async def story(api: Client) -> list[str]:
        packs = await api.voice_packs()
        assert [pack.name for pack in packs] == ["Sandbox Narrator"]
        source = await asyncio.to_thread(uploaded, api)
        task = await api.split("change_voice", item(source.source_id, voice_pack_id=packs[0].pack_id))
        return [track.label for track in (await api.check([task]))[task].tracks]

    assert ask(sandbox.url, story) == ["converted_mix"]


def test_cancel_names_the_tasks_it_was_too_late_for() -> None:
    from lalald.sandbox.options import Options

    async def story(api: Client) -> None:
        source = await asyncio.to_thread(uploaded, api)
        task = await api.split("stem_separator", item(source.source_id))
        assert await api.cancel([task]) == {task: None}
        assert await api.cancel([task]) == {task: "Task is not in progress state"}
        assert (await api.check([task]))[task].status == "cancelled"
        other = await api.split("stem_separator", item(source.source_id))
        assert await api.cancel_all() == {other: None}

    with Sandbox(Options(processing_seconds=60)) as sandbox:
        ask(sandbox.url, story)


def test_an_empty_check_sends_no_request(sandbox: Sandbox) -> None:
    async def story(api: Client) -> None:
        assert await api.check([]) == {}
        assert await api.cancel([]) == {}

    ask(sandbox.url, story)
    assert sandbox.state()["requests"] == []


def test_a_used_key_is_distinguished_from_other_refusals(sandbox: Sandbox) -> None:
    async def story(api: Client) -> None:
        source = await asyncio.to_thread(uploaded, api)
        task = item(source.source_id)
        await api.split("stem_separator", task)
        await api.split("stem_separator", task)

    sandbox.faults()
    error = refused(sandbox.url, story)
    assert isinstance(error, RefusedError)
    assert error.code == "idempotency_key_used"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("minutes:400", RefusedError),
        ("minutes:413", RefusedError),
        ("minutes:422", RefusedError),
        ("minutes:404", RefusedError),
        ("minutes:401", LicenseRefusedError),
        ("minutes:403", LicenseRefusedError),
        ("minutes:403,code=exceeded_duration", RefusedError),
        ("minutes:400,code=internal_error", TransientError),
        ("minutes:408", TransientError),
        ("minutes:425", TransientError),
        ("minutes:429", RateLimitedError),
        ("minutes:500", TransientError),
        ("minutes:502", TransientError),
        ("minutes:599", TransientError),
        ("minutes:html", UnreadableAnswerError),
        ("minutes:html,status=502", TransientError),
        ("minutes:empty", UnreadableAnswerError),
        ("minutes:half", UnreadableAnswerError),
        ("minutes:missing", UnusableAnswerError),
        ("minutes:null", UnusableAnswerError),
        ("minutes:type", UnusableAnswerError),
        ("minutes:huge", UnreadableAnswerError),
    ],
)
def test_every_answer_is_later_or_never_or_the_key(fault: str, kind: type[ServiceError], sandbox: Sandbox) -> None:
    sandbox.faults(fault)
    error = refused(sandbox.url, minutes)
    assert type(error) is kind
    assert error.status is not None
    if isinstance(error, TransientError):
        assert error.answered


@pytest.mark.parametrize("fault", ["minutes:extra", "minutes:unknown"])
def test_undocumented_fields_are_ignored(fault: str, sandbox: Sandbox) -> None:
    sandbox.faults(fault)
    assert ask(sandbox.url, minutes) == 1000.0


@pytest.mark.parametrize(
    ("fault", "possible"),
    [
        ("split:429", False),
        ("split:408", False),
        ("split:500", True),
        ("split:html", True),
        ("split:missing", True),
        ("split:reset_before", True),
        ("split:reset_after", True),
        ("split:hang", True),
    ],
)
def test_whether_a_charge_may_have_begun_is_known_of_every_fault(fault: str, possible: bool, sandbox: Sandbox) -> None:
    async def story(api: Client) -> None:
        source = await asyncio.to_thread(uploaded, api)
        await api.split("stem_separator", item(source.source_id))

    sandbox.faults(fault)
    error = refused(sandbox.url, story, Deadlines(answer_seconds=0.5))
    assert isinstance(error, TransientError)
    assert error.carried_out_possible is possible
    assert error.answered is (error.status is not None)


def test_an_unreachable_service_has_done_nothing(sandbox: Sandbox) -> None:
    with sandbox.down():
        error = refused(sandbox.url, minutes)
    assert isinstance(error, TransientError)
    assert not error.answered
    assert not error.carried_out_possible


@pytest.mark.parametrize(("said", "seconds"), [(7, 7.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("soon", None)])
def test_retry_after_is_understood(said: Any, seconds: float | None, sandbox: Sandbox) -> None:
    sandbox.faults({"operation": "minutes", "kind": "status", "status": 429, "retry_after": said})
    error = refused(sandbox.url, minutes)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == seconds


def test_a_date_to_retry_after_counts_from_the_answers_own_clock() -> None:
    def busy(talk: Talk) -> None:
        talk.request()
        talk.json("{}", "503 Busy", "Date: Fri, 31 Dec 1999 23:59:00 GMT", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT")

    with RawServer(busy) as server:
        error = refused(server.url, minutes)
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds == 59.0


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("Too long.", "Too long"),
        ([{"loc": ["body", "split_input", "presets", "stem"], "msg": "Field required", "type": "missing"}],
         "presets.stem: Field required"),
        ([{"loc": ["body"], "msg": "Bad"}, {"msg": "Worse"}], "Bad; Worse"),
        ({"msg": "No such source"}, "No such source"),
        ({"reason": 5}, '{"reason": 5}'),
        ("['Deleted.']", "Deleted"),
        ("two\nlines", "two lines"),
    ],
)  # fmt: skip
def test_the_services_words_become_one_sentence(detail: Any, words: str, sandbox: Sandbox) -> None:
    sandbox.faults({"operation": "minutes", "kind": "status", "status": 422, "detail": detail})
    error = refused(sandbox.url, minutes)
    assert error.args == (words,)
    assert error.request_id is not None
    assert f"HTTP 422, request id {error.request_id}" in str(error)


def test_a_redirect_is_never_followed_with_the_key(sandbox: Sandbox) -> None:
    with RawServer(Talk.until_gone) as stranger:
        for status in (301, 302, 307, 308):
            sandbox.faults({"operation": "*", "kind": "redirect", "status": status, "url": f"{stranger.url}/x"})
            error = refused(sandbox.url, minutes)
            assert isinstance(error, TransientError)
            assert error.status == status
        sandbox.faults({"operation": "upload", "kind": "redirect", "url": f"{stranger.url}/x"})
        assert isinstance(refused(sandbox.url, lambda api: asyncio.to_thread(uploaded, api)), TransientError)
        assert stranger.connections == 0


def test_a_key_repeated_in_an_answer_is_hidden() -> None:
    def tells(talk: Talk) -> None:
        while talk.head():
            talk.json(json.dumps({"detail": f"The key {KEY} is unknown."}), "403 Forbidden", f"x-request-id: {KEY}")

    with RawServer(tells) as server:
        error = refused(server.url, minutes)
    assert isinstance(error, LicenseRefusedError)
    assert error.args == ("The key [license key] is unknown",)


def test_without_a_usable_key_nothing_is_asked(sandbox: Sandbox) -> None:
    async def asked(key: LicenseKey | None) -> None:
        api = Client(sandbox.url, key, upload_rate=None, download_rate=None)
        with pytest.raises(LicenseRefusedError):
            await api.minutes_left()
        with pytest.raises(LicenseRefusedError):
            uploaded(api)
        await api.aclose()

    for key in (None, LicenseKey("a key\r\nX-Evil: 1"), LicenseKey("")):
        asyncio.run(asked(key))
    assert sandbox.state()["requests"] == []


def test_the_key_goes_with_every_operation_and_with_no_download(sandbox: Sandbox, target: BinaryIO) -> None:
    async def story(api: Client) -> None:
        source = await asyncio.to_thread(uploaded, api)
        task = await api.split("stem_separator", item(source.source_id))
        for track in (await api.check([task]))[task].tracks:
            await asyncio.to_thread(api.download, track.url, target, Transfer())
        await api.delete(source.source_id)

    ask(sandbox.url, story)
    asked = {request["operation"]: request["with_key"] for request in sandbox.state()["requests"]}
    assert asked == {"upload": True, "split": True, "check": True, "download": False, "delete": True}


@pytest.mark.parametrize(
    "url",
    [
        "http://www.lalal.ai",
        "http://192.168.1.4:8900",
        "ftp://127.0.0.1",
        "https://user:word@www.lalal.ai",
        "https://",
        "www.lalal.ai",
        "https://www.lalal.ai/?key=1",
        "https://www.lalal.ai\r\nX: y",
        "https://www.lalal.ai:99999",
        "http://localhost.example.com",
    ],
)
def test_an_address_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        client(url)


@pytest.mark.parametrize(
    "url", ["https://www.lalal.ai/", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1/p"]
)
def test_an_address_that_protects_the_key_is_accepted(url: str) -> None:
    assert client(url)


def test_an_answer_that_comes_drop_by_drop_meets_the_deadline() -> None:
    def drips(talk: Talk) -> None:
        talk.request()
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            talk.say(" ")
            time.sleep(0.02)

    with RawServer(drips) as server:
        began = time.monotonic()
        error = refused(server.url, minutes, HASTY)
    assert isinstance(error, TransientError)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"mi',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\x01\x02\x03",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        b"HTTP/1.1 99999 ?\r\n\r\n",
    ],
)
def test_an_incomplete_answer_is_transient(answer: bytes) -> None:
    def garbles(talk: Talk) -> None:
        talk.request()
        talk.say(answer)

    with RawServer(garbles) as server:
        assert isinstance(refused(server.url, minutes), TransientError)


@pytest.mark.parametrize("key", ["a", "5", "result", "c0ffee"])
def test_a_makeshift_key_changes_nothing_that_the_service_says(sandbox: Sandbox, key: str) -> None:
    """Rehearsals go with any key, and a short one stands in ids, numbers and the document's own words by chance."""

    async def carried(api: Client) -> tuple[str, str, set[str]]:
        source = await asyncio.to_thread(uploaded, api)
        task = await api.split("demuser", SplitItem(source.source_id, {"stem": "music"}, str(uuid4())))
        return source.source_id, task, set(await api.check([task]))

    async def asked() -> tuple[str, str, set[str]]:
        api = client(sandbox.url, key=LicenseKey(key))
        try:
            return await carried(api)
        finally:
            await api.aclose()

    for _ in range(5):
        source, task, known = asyncio.run(asked())
        assert str(UUID(source)) == source
        assert str(UUID(task)) == task
        assert known == {task}


def test_an_escaped_key_in_an_answer_is_hidden_too() -> None:
    def answers(talk: Talk) -> None:
        while talk.request()[0]:
            spelled = "".join(f"\\u{ord(char):04x}" for char in KEY)
            talk.json(f'{{"detail": "The key {spelled} is unknown."}}', "403 Forbidden")

    with RawServer(answers) as server:
        assert refused(server.url, minutes).args == ("The key [license key] is unknown",)


def test_closing_waits_for_the_answer_of_a_running_operation() -> None:
    async def story(url: str, asked: asyncio.Event) -> float:
        api = client(url)
        running = asyncio.create_task(api.minutes_left())
        await asked.wait()
        await api.aclose()
        go_on.set()
        return await running

    loop_asked: list[Callable[[], None]] = []
    import threading

    go_on = threading.Event()

    def slow(talk: Talk) -> None:
        talk.request()
        loop_asked[0]()
        go_on.wait(10)
        talk.json('{"minutes_left": 3}')

    async def main(url: str) -> float:
        asked, loop = asyncio.Event(), asyncio.get_running_loop()
        loop_asked.append(lambda: loop.call_soon_threadsafe(asked.set))
        return await story(url, asked)

    with RawServer(slow) as server:
        assert asyncio.run(main(server.url)) == 3.0


def test_the_key_is_in_no_log_and_no_traceback(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    def traceback_of(error: BaseException) -> str:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        return "".join(line for line in lines if "test_api" not in line)

    sandbox.faults("minutes:reset_after", "upload:reset_after")
    assert KEY not in traceback_of(refused(sandbox.url, minutes))
    assert KEY not in traceback_of(refused(sandbox.url, lambda api: asyncio.to_thread(uploaded, api)))
    sandbox.faults("minutes:401", "upload:403")
    assert KEY not in traceback_of(refused(sandbox.url, minutes))
    assert KEY not in traceback_of(refused(sandbox.url, lambda api: asyncio.to_thread(uploaded, api)))
    assert caplog.records
    assert KEY not in caplog.text
    assert KEY not in repr(vars(client(sandbox.url)))


def test_presets_that_are_not_json_are_refused(sandbox: Sandbox) -> None:
    for odd in (float("nan"), object()):
        error = refused(sandbox.url, lambda api, odd=odd: api.split("demuser", item("x", stem=odd)))
        assert isinstance(error, RefusedError)
    assert sandbox.state()["requests"] == []


def closes_after_one_answer(talk: Talk) -> None:
    """As a server does that closes an idle connection just when the next request is on its way."""
    talk.request()
    talk.json('{"minutes_left": 3, "task_id": "a", "result": {}}')
    talk.head()
    talk.reset()


def answers_all(talk: Talk) -> None:
    while talk.request()[0]:
        talk.json('{"minutes_left": 5, "task_id": "b", "result": {}}')


Ask = Callable[[Client], Awaitable[object]]


@pytest.mark.parametrize(
    "question",
    [minutes, lambda api: api.check(["a"]), lambda api: api.delete("a"), lambda api: api.cancel(["a"])],
    ids=["minutes", "check", "delete", "cancel"],
)
def test_an_operation_whose_kept_connection_died_is_sent_again(question: Ask) -> None:
    async def twice(api: Client) -> None:
        await question(api)
        await question(api)

    with RawServer(closes_after_one_answer, answers_all) as server:
        ask(server.url, twice)
        assert server.connections == 2


def test_a_charging_request_is_never_sent_again_without_its_caller() -> None:
    async def twice(api: Client) -> None:
        await api.split("demuser", item("x"))
        with pytest.raises(TransientError) as caught:
            await api.split("demuser", item("x"))
        assert caught.value.carried_out_possible

    with RawServer(closes_after_one_answer, answers_all) as server:
        ask(server.url, twice)
        assert server.connections == 1


def test_a_charging_request_uses_no_connection_that_was_idle_for_long() -> None:
    async def story(api: Client) -> None:
        for _ in range(2):
            await api.split("demuser", item("x"))
            await api.minutes_left()
            await asyncio.sleep(0.1)  # the subject of the test: a connection that idles

    with RawServer(answers_all) as server:
        ask(server.url, story, Deadlines(charge_idle_seconds=0.05))
        assert server.connections == 3  # two for the splits, one for both other operations


def test_cookies_are_not_sent_back() -> None:
    heads: list[bytes] = []

    def sets_a_cookie(talk: Talk) -> None:
        while (request := talk.request())[0]:
            heads.append(request[0])
            talk.json(
                UPLOADED if b"upload" in request[0] else '{"minutes_left": 5}', "200 OK", "Set-Cookie: a=b; Path=/"
            )

    async def story(api: Client) -> None:
        for _ in range(2):
            await api.minutes_left()
            await asyncio.to_thread(uploaded, api)

    with RawServer(sets_a_cookie) as server:
        ask(server.url, story)
    assert len(heads) == 4
    assert not any(b"cookie" in head.lower() for head in heads)


UPLOADED = '{"id": "a", "name": "song.mp3", "size": 10, "duration": 3, "expires": 1}'
