"""The file of the page's session keys: made once, and what is wrong with it is said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from lalald.control import page_keys
from lalald.errors import FileError


def test_the_keys_are_made_once_and_damaged_ones_are_reported(tmp_path: Path) -> None:
    keys = page_keys.load(tmp_path)
    assert page_keys.load(tmp_path) == keys
    path = tmp_path / page_keys.FILE_NAME
    path.write_text('{"salt": 1}')
    with pytest.raises(FileError) as damaged:
        page_keys.load(tmp_path)
    assert (str(damaged.value), "Remove it" in damaged.value.hint) == (f"{path} is damaged.", True)


def test_keys_that_cannot_be_read_are_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / page_keys.FILE_NAME
    path.mkdir()
    with pytest.raises(FileError) as unreadable:
        page_keys.load(tmp_path)
    assert str(unreadable.value) == f"{path} cannot be used: Is a directory."
    assert "emove it" not in unreadable.value.hint
