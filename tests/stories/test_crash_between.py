"""Killed inside any save, between any two changes of files, and around any commit: the end is the same."""

from __future__ import annotations

import signal

import pytest

from tests.conftest import MakeHome
from tests.support.crash_stories import STORIES, killed
from tests.support.private_mounts import in_own_mounts

SAVES = 10  # of a job with two tasks
POINTS = [
    *(("delivered", "save", number) for number in range(1, SAVES + 1)),
    ("batched", "save", 4),
    ("batched", "save", 9),
    ("failed", "save", 9),  # its file is filed
    ("delivered", "commit", 2),  # the file is registered
    ("delivered", "commit", 22),
    *(
        ("delivered", "file", number) for number in (11, 21, 24, 34, 40)
    ),  # in the middle of what is tried before the charge
    ("delivered", "file", 86),
    ("delivered", "file", 112),  # its staging folder is gone, that of all jobs is not
    *(("delivered", "file", number) for number in (114, 115, 116)),  # its source is moved
    ("deleted", "file", 88),
    ("failed", "file", 84),
    ("released", "commit", 6),
    ("retried", "commit", 6),
    ("redone", "commit", 10),  # the request is accepted
    ("fetched again", "save", 1),  # the earlier tasks are checked
    ("fetched again", "save", 3),
    ("fetched again", "commit", 6),
    ("accepted", "commit", 8),  # the next run accepts the folder while it checks it
    ("accepted", "commit", 12),
    ("delivered elsewhere", "file", 115),
    ("delivered elsewhere", "file", 135),
    ("failed elsewhere", "file", 94),
]


@pytest.mark.parametrize(("story", "moment", "number"), POINTS)
def test_killed_at_any_moment_it_ends_the_same(story: str, moment: str, number: int, make_home: MakeHome) -> None:
    def tell() -> None:
        assert killed(STORIES[story], moment, number, make_home) == -signal.SIGKILL, "there is such a moment"

    in_own_mounts(tell) if STORIES[story].disks else tell()
