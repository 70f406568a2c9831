"""What a person does with the page: add a song, watch it, listen, look it up later, try again."""

from __future__ import annotations

from pathlib import Path

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.conftest import MakeHome
from tests.support.browser import BrowserThread, Visit
from tests.support.page_client import PASSWORD, address_of, with_page
from tests.support.running import until, write_wav

MARK = "window.sameDocument = true"
IS_SAME = "window.sameDocument === true"


def test_a_song_from_the_drop_to_the_ear(
    browsing: BrowserThread, make_home: MakeHome, sandbox: Sandbox, tmp_path: Path
) -> None:
    home = with_page(make_home(sandbox.url))
    home.start()
    with browsing.visit(address_of(home)) as visit:
        page = visit.open()
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").filter(has_text="assword").wait_for()
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Drop your first song").wait_for()
        page.evaluate(MARK)

        page.get_by_role("navigation").get_by_role("link", name="Add files").click()
        (tmp_path / "notes.txt").write_text("no sound")
        write_wav(tmp_path / "song.wav", seconds=6)
        page.set_input_files("input[type=file]", [tmp_path / "song.wav", tmp_path / "notes.txt"])
        row = page.locator(".candidate", has_text="song.wav")
        row.get_by_text("0:06").wait_for()
        assert "0.1 min" in row.inner_text()
        assert page.locator(".candidate", has_text="notes.txt").locator(".bad").count() == 1
        assert home.jobs() == []
        page.get_by_role("button", name="Send 1 file").click()
        page.get_by_text("In the inbox").wait_for()

        page.get_by_role("navigation").get_by_role("link", name="Now").click()
        page.get_by_role("link", name="Listen to song.wav").click()
        page.locator(".stem").first.wait_for()
        assert page.locator(".stem-name bdi").all_inner_texts() == ["Vocals", "Instrumental"]
        visit.until("Number(document.querySelector('.position')?.value) > 0.3", "it plays")
        assert page.evaluate(IS_SAME)
        assert visit.complaints == []


def test_progress_comes_without_a_reload(browsing: BrowserThread, make_home: MakeHome) -> None:
    with Sandbox(Options(processing_seconds=4)) as slow:
        home = with_page(make_home(slow.url))
        home.start()
        with browsing.visit(address_of(home)) as visit:
            visit.log_in()
            page = visit.open()
            page.get_by_role("heading", name="Drop your first song").wait_for()
            page.evaluate(MARK)
            write_wav(home.inbox / "album" / "long.wav", seconds=3)
            row = page.locator(".row.running", has_text="long.wav")
            row.get_by_text("Processing").wait_for()
            seen = {row.locator(".percent").inner_text()}
            until(
                lambda: (
                    page.locator(".row.finished", has_text="long.wav").count() or (seen.add(percent(visit)) and False)
                ),
                "it is done",
            )
            assert len(seen - {""}) >= 2, seen
            assert page.evaluate(IS_SAME)
            assert visit.complaints == []


def percent(visit: Visit) -> str:
    texts = visit.page.locator(".row.running .percent").all_inner_texts()
    return texts[0] if texts else ""


def test_a_failed_job_is_retried_for_the_price_that_was_shown(
    browsing: BrowserThread, make_home: MakeHome, sandbox: Sandbox
) -> None:
    home = with_page(make_home(sandbox.url))
    sandbox.faults("split:task_error*1")
    write_wav(home.inbox / "once.wav", seconds=6)
    home.start()
    home.rest()
    with browsing.visit(address_of(home)) as visit:
        visit.log_in()
        page = visit.open()
        card = page.locator(".card", has_text="1 file failed")
        card.get_by_role("button", name="Retry").click()
        dialog = page.get_by_role("dialog")
        assert "0.1 min" in dialog.inner_text()
        dialog.get_by_role("button", name="Not now").click()
        assert home.jobs()[0]["state"] == "failed"

        page.get_by_role("navigation").get_by_role("link", name="History").click()
        page.get_by_label("State").select_option("failed")
        page.get_by_label("Select job 1").check()
        page.get_by_role("button", name="Retry").click()
        page.get_by_role("dialog").get_by_role("button", name="Retry for 0.1 min").click()
        until(lambda: home.jobs()[0]["state"] == "done", "the job is done")
        page.get_by_text("No job matches").wait_for()
        assert visit.complaints == []


def test_the_page_says_when_lalald_is_gone_and_follows_when_it_is_back(
    browsing: BrowserThread, make_home: MakeHome, sandbox: Sandbox
) -> None:
    home = with_page(make_home(sandbox.url))
    home.start()
    with browsing.visit(address_of(home)) as visit:
        visit.log_in()
        page = visit.open()
        page.get_by_role("heading", name="Drop your first song").wait_for()
        page.evaluate(MARK)
        home.stop()
        page.get_by_text("lalald cannot be reached.").wait_for()
        home.start()
        page.get_by_role("button", name="Try now").click()
        page.get_by_text("lalald cannot be reached.").wait_for(state="hidden")
        write_wav(home.inbox / "after.wav")
        page.locator(".row.finished", has_text="after.wav").wait_for()
        assert page.evaluate(IS_SAME)
        assert [complaint for complaint in visit.complaints if complaint.startswith("script")] == []


def test_a_session_that_is_ended_elsewhere_asks_for_the_password(done_visit: Visit) -> None:
    page = done_visit.open("history")
    page.get_by_role("link", name="song.wav").wait_for()
    headers = {"X-Lalald": "1", "Origin": done_visit.address}
    done_visit.context.request.post(f"{done_visit.address}/api/logout", data={"everywhere": True}, headers=headers)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="song.wav").wait_for()  # the view that was open


def test_by_keyboard_alone(done_visit: Visit) -> None:
    page = done_visit.open("now")
    page.locator(".row.finished").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
    assert "#/jobs/1/play" in reached
    page.locator("[href='#/jobs/1']").focus()
    page.keyboard.press("Enter")
    page.locator(".player").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1"
