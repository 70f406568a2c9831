"""What a person does with the page: add a song, watch it, listen, look it up later, try again."""

from __future__ import annotations

from tests.support.browser import Visit
from tests.support.page_client import PASSWORD


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
