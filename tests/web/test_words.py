"""The page has words for everything that the program can say, and for its commands' names those of its buttons."""

from __future__ import annotations

import pytest

from lalald.jobs.event_kinds import EventKind
from lalald.jobs.states import Hold, Stage
from lalald.web.labels import labels, task_title, track_title
from lalald.web.needs import RELEASES
from tests.support import ROOT

STATIC = ROOT / "lalald/web/static"
MOST_BYTES = 120_000


@pytest.mark.parametrize(
    ("table", "names"), [("events", {*EventKind}), ("holds", {*Hold}), ("stages", {*Stage} - {Stage.DONE})]
)
def test_each_name_has_its_words(table: str, names: set[str]) -> None:
    assert set(labels()[table]) == {str(name) for name in names}


def test_each_hold_that_can_be_released_has_its_button() -> None:
    assert set(RELEASES) == {*Hold} - {Hold.LICENSE}


def test_the_page_stays_small() -> None:
    sizes = {path: path.stat().st_size for path in STATIC.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= MOST_BYTES, sorted(sizes.items(), key=lambda one: -one[1])[:5]


def test_tracks_and_tasks_have_titles() -> None:
    assert [track_title(label) for label in ("vocals", "no_vocals", "no_drum", "electric_guitar")] == [
        "Vocals", "Instrumental", "Without drum", "Electric guitar",
    ]  # fmt: skip
    assert task_title(None, "multistem", {"stem_list": ["vocals", "bass"]}) == "Multistem: stem list vocals, bass"
    assert task_title("clean", "voice_clean", {}) == "clean (Voice clean)"
