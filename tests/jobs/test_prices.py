"""What a file will cost."""

from __future__ import annotations

from lalald.jobs.spending.prices import minutes


def test_a_task_costs_the_duration_once_for_each_stem() -> None:
    assert minutes(90, "voice_clean", {"stem": "voice"}) == 1.5
    assert minutes(90, "stem_separator", {"stem": "vocals", "multivocal": "lead_back"}) == 1.5
    assert minutes(90, "multistem", {"stem_list": ["drum", "bass", "piano"]}) == 4.5
