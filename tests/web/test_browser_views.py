"""Every view in both color schemes and at the narrowest and widest window, with what a hostile name could contain."""

from __future__ import annotations

from typing import Any

import pytest

from lalald.jobs.spending.prices import cost_text
from tests.support.browser import BrowserThread, Visit
from tests.support.page_client import address_of
from tests.support.running import Home

VIEWS = ("now", "add", "history", "jobs/1", "jobs/3", "inboxes", "log")
TOO_WIDE = "document.documentElement.scrollWidth - innerWidth"


def test_no_view_has_faults_that_axe_finds(browsing: BrowserThread, varied_home: Home) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()
    with browsing.visit(address_of(varied_home), viewport={"width": 360, "height": 780}) as visit:
        page = visit.open()
        faults = found(axe, page, "login")
        visit.log_in()
        for view in VIEWS:
            settle(visit, view)
            faults += found(axe, page, view)
            assert page.evaluate(TOO_WIDE) <= 0, view
        page.set_viewport_size({"width": 2560, "height": 1300})
        for view in VIEWS:
            settle(visit, view)
            assert page.evaluate(TOO_WIDE) <= 0, view
        assert faults == []
        assert visit.complaints == []


def settle(visit: Visit, view: str) -> None:
    """Opens a view and waits until it shows what it has."""
    visit.open(view)
    visit.until("!document.querySelector('main').innerText.includes('Loading …')", f"{view} is loaded")


def found(axe: Any, page: Any, view: str) -> list[str]:
    """What axe finds in what is shown, in both color schemes."""
    faults = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        violations = axe.run(page).response["violations"]
        faults += [
            f"{view}, {scheme}: {one['id']}: {node['html'][:200]}" for one in violations for node in one["nodes"]
        ]
    return faults


FIGURES = """async () => {
  const { minutes, free } = await import("./static/format.js");
  return [minutes(0), minutes(0.033), minutes(0.133), minutes(1.1), minutes(1234.5), free(3.19), free(3.2), free(0.04)];
}"""


def test_costs_are_rounded_up_and_what_is_left_down_as_on_the_command_line(varied_visit: Visit) -> None:
    varied_visit.open("log")
    costs = [0, 0.033, 0.133, 1.1, 1234.5]
    expected = [f"{cost_text(cost)} min" for cost in costs] + ["3.1 min", "3.2 min", "0.0 min"]
    assert varied_visit.page.evaluate(FIGURES) == expected


def test_hostile_names_and_messages_are_shown_as_text(varied_visit: Visit, varied_home: Home) -> None:
    page = varied_visit.page
    name = hostile_job(varied_home)["path"]
    for view in ("now", "history", "jobs/3", "log"):
        settle(varied_visit, view)
        assert page.locator("main img[src='x'], main script").count() == 0, view
    assert page.evaluate("window.pwned") is None
    settle(varied_visit, "jobs/3")
    assert page.locator("h1").inner_text() == name.replace("\u202e", "\ufffd")
    assert varied_visit.complaints == []


def test_a_remedy_is_a_button_and_no_command(varied_visit: Visit) -> None:
    for view in ("now", "history", "jobs/2", "jobs/3", "jobs/4", "log"):
        settle(varied_visit, view)
        words = varied_visit.page.locator("main").inner_text()
        assert [verb for verb in ("release", "retry", "cancel", "redo") if f"lalald {verb}" in words] == [], view
    settle(varied_visit, "jobs/2")
    varied_visit.page.locator(".notice").get_by_text("press Retry").wait_for()
    assert varied_visit.page.get_by_role("button", name="Retry").count() == 1


def hostile_job(home: Home) -> dict[str, Any]:
    return next(job for job in home.jobs() if "<img" in job["path"])


def test_an_inbox_explains_a_file_and_prices_what_waits(varied_visit: Visit, varied_home: Home) -> None:
    page = varied_visit.page
    settle(varied_visit, "inboxes")
    assert page.get_by_text(str(varied_home.outbox)).count() == 1
    path = page.get_by_label("Would a file be processed?")
    path.fill("notes.txt")
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("status").filter(has_text="It would not be processed").wait_for()
    path.fill("new.wav")
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("status").filter(has_text="Rule stems").wait_for()
    page.get_by_role("button", name="Price what waits").click()
    page.get_by_role("row", name="stems").get_by_text("0.5 min").wait_for()  # the 30 seconds that are held
    page.get_by_text("What was left alone, and why").click()
    page.get_by_text("Nothing: every file in this inbox was processed, or will be.").wait_for()
    assert varied_visit.complaints == []
