"""Unfinished downloads of aria2: NAME.aria2 is beside NAME, a file or the folder of a torrent, until the download is complete."""

from __future__ import annotations

import os

from lalald.inbox.selection import excluded_names

_CONTROL_ENDING = ".aria2"


def control_file(root: str, path: str) -> str | None:
    """The control file beside a file of the inbox, or beside a folder of its path; None if there is none. It blocks."""
    while path:
        if os.path.lexists(f"{root}/{path}{_CONTROL_ENDING}"):
            return path + _CONTROL_ENDING
        path = path.rpartition("/")[0]
    return None


def controlled_by(name: str) -> str | None:
    """The name of the download that a control file of this name belongs to; None if it is not such a name."""
    controlled = name.removesuffix(_CONTROL_ENDING)
    return controlled if controlled != name and excluded_names.refusal(controlled) is None else None
