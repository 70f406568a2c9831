"""Where a job's source is, and where it will be moved. Pure: the disk is not accessed."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

from lalald.jobs.job import Job, JobSettings
from lalald.jobs.states import State


class Target(NamedTuple):
    """A folder that is never created, and the path below it, which is."""

    root: str
    below: str


def source_path(job: Job) -> str:
    """Where the job's file is now."""
    return job.moved_to or os.path.join(job.inbox, job.path)


def source_folder(job: Job) -> str:
    """The configured folder that contains the job's file now."""
    if job.moved_to is not None:
        for configured in (job.settings.done_dir, job.settings.failed_dir):
            root, _ = root_of(job.inbox, configured)
            if job.moved_to.startswith(f"{root}/"):
                return root
    return job.inbox


def archive_root(job: Job) -> str:
    """The folder that must exist before the source is archived; the inbox if the source stays or its folder is within it."""
    policy, folder = _policy(job.settings, failed=job.state is State.FAILED)
    return root_of(job.inbox, folder).root if policy == "move" else job.inbox


def archive_folder(job: Job) -> str:
    """The folder that the source is moved to, with its subfolders; its present folder if it stays."""
    policy, folder = _policy(job.settings, failed=job.state is State.FAILED)
    if policy != "move":
        return os.path.dirname(source_path(job))
    return os.path.normpath(os.path.join(job.inbox, folder, os.path.dirname(job.path)))


def move_roots(job: Job) -> tuple[str, ...]:
    """The configured folders that archiving the source works in."""
    return tuple(dict.fromkeys((source_folder(job), archive_root(job))))


def _policy(settings: JobSettings, *, failed: bool) -> tuple[str, str]:
    return (settings.on_failure, settings.failed_dir) if failed else (settings.on_success, settings.done_dir)


@cache  # as many as there are folders, and needed several times per file
def root_of(inbox: str, configured: str) -> Target:
    """A done or failed folder: below the inbox, or a configured folder of its own."""
    full = os.path.normpath(os.path.join(inbox, configured))
    below = os.path.relpath(full, inbox)
    return Target(full, "") if below.split("/")[0] == ".." else Target(inbox, below)
