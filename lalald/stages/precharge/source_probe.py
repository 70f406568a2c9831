"""Try the moves of a source out of its folder, before its tasks are charged."""

from __future__ import annotations

import os
from typing import NamedTuple

from lalald.archive.source_paths import root_of
from lalald.filesystem.availability.folder_probe import (
    action_errors,
    create_hidden,
    existing_folder,
    hidden_folder,
    try_delete,
    try_listing,
    try_rename,
    write_hidden,
)
from lalald.filesystem.placeholders import hidden_path, remove_leftovers
from lalald.filesystem.renaming import can_rename_between
from lalald.jobs.job import Job
from lalald.jobs.states import Stage


class MoveTarget(NamedTuple):
    """A configured folder, which is never created, and the path within it, which is."""

    root: str
    within: str


def move_targets(job: Job) -> tuple[MoveTarget, ...]:
    """Where the source may be moved, after success or failure; empty if it is kept or deleted."""
    settings = job.settings
    done = [settings.done_dir] if settings.on_success == "move" else []
    failed = [settings.failed_dir] if settings.on_failure == "move" and job.stage is not Stage.ARCHIVE else []
    within = os.path.dirname(job.path)
    found = (root_of(job.inbox, folder) for folder in (*done, *failed))
    return tuple(
        dict.fromkeys(MoveTarget(root, os.path.normpath(f"{below}/{within}").strip("/.")) for root, below in found)
    )


def is_moved_or_deleted(job: Job) -> bool:
    """Whether the job's end changes the folder of its source."""
    return job.settings.on_success != "keep"


def try_source_moves(folder: str, targets: tuple[MoveTarget, ...]) -> None:
    """Rename a hidden file in `folder`, move it to each of the targets, and delete it.

    Raises FolderPermissionError, FolderUnavailableError, DiskFullError, FileError.
    """
    remove_leftovers(folder)
    with hidden_path(folder) as here, hidden_path(folder) as aside:
        create_hidden(here, folder)
        try_rename(here, aside, folder)
        try_delete(aside, folder)
    for target in targets:
        _try_target(folder, target.root, target.within)


def _try_target(folder: str, root: str, below: str) -> None:
    target = existing_folder(root, below)
    try_listing(target)
    remove_leftovers(target)
    if target != os.path.join(root, below).rstrip("/"):
        with hidden_folder(target) as made:
            _try_move(folder, made, target)
    else:
        _try_move(folder, target, target)


def _try_move(folder: str, place: str, target: str) -> None:
    """By a rename, else by a copy, as the source itself will be moved."""
    with action_errors(f"move a file from {folder}", target):
        renames = can_rename_between(folder, place)
    if not renames:
        with hidden_path(place) as copy, hidden_path(place) as named:
            write_hidden(copy, target)
            try_rename(copy, named, target)
            try_delete(named, target)
