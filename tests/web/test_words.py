"""The page has words for everything that the program can say."""

from __future__ import annotations

import re

import pytest

from lalald.jobs.event_facts import EventKind
from lalald.jobs.states import Hold, Stage
from lalald.presets import MODES
from tests.support import ROOT

WORDS = (ROOT / "lalald/web/static/words.js").read_text(encoding="utf-8")


def known(table: str) -> set[str]:
    """The keys of one of the page's tables."""
    body = re.search(rf"const {table} = \{{(.*?)\}};", WORDS, re.DOTALL)
    assert body is not None, table
    return {quoted or plain for quoted, plain in re.findall(r'(?:"([\w.@]+)"|\b(\w+)): "', body[1])}


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("EVENTS", set(EventKind)),
        ("HOLDS", set(Hold)),
        ("STAGES", {*Stage} - {Stage.DONE}),
        ("NEXT_STEPS", {*Stage} - {Stage.DONE}),
        ("MODES", set(MODES)),
        ("RELEASES", {*Hold} - {Hold.LICENSE}),
    ],
)
def test_each_name_has_its_words(table: str, names: set[str]) -> None:
    assert known(table) == {str(name) for name in names}
