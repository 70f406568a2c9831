"""Processes of this machine, as /proc shows them."""

from __future__ import annotations

import os
from pathlib import Path


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """Every process that it, or a child of it, has started and that still runs."""
    found = [child for child in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(child) == pid]
    return [*found, *(below for child in found for below in descendants(child))]


def words_of(pid: int) -> str:
    """Its arguments; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0
