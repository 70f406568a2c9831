"""Several tabs, and buttons that are pressed after something has changed."""

from __future__ import annotations

from tests.support.browser import BrowserThread, Visit
from tests.support.page_client import address_of
from tests.support.running import Home


def test_a_tab_beyond_the_streams_of_a_session_shows_the_state_too(done_visit: Visit) -> None:
    tabs = [done_visit.context.new_page() for _ in range(4)]
    for tab in [done_visit.page, *tabs]:
        tab.goto(f"{done_visit.address}/#/now")
        tab.locator(".row.finished", has_text="song.wav").wait_for()
    assert done_visit.complaints == []


def test_a_request_for_a_job_that_has_changed_is_refused_with_the_reason(
    browsing: BrowserThread, failed_home: Home
) -> None:
    with browsing.visit(address_of(failed_home)) as visit:
        visit.log_in()
        page = visit.open("jobs/1")
        page.get_by_role("button", name="Retry").click()
        assert failed_home.command("cancel", "1").returncode == 0
        page.get_by_role("dialog").get_by_role("button", name="Retry").click()
        page.locator(".message.bad").wait_for()
        assert failed_home.jobs()[0]["request"] == "cancel"
        assert visit.complaints == []
