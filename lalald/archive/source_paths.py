"""Where a job's file is, and where it goes. Pure: nothing here looks at a disk."""

from __future__ import annotations

import os
from functools import cache

from lalald.jobs.job import Job, JobSettings, State


def source_path(job: Job) -> str:
    """Where the job's file is now."""
    return job.moved_to or os.path.join(job.inbox, job.path)


def source_folder(job: Job) -> str:
    """The configured folder in which its file is now."""
    if job.moved_to is not None:
        for configured in (job.settings.done_dir, job.settings.failed_dir):
            root, _ = root_of(job.inbox, configured)
            if job.moved_to.startswith(f"{root}/"):
                return root
    return job.inbox


def filing_folder(job: Job) -> str:
    """The configured folder that its source goes to, or below which its folder is made; the inbox where it stays there."""
    policy, folder = _policy(job.settings, failed=job.state is State.FAILED)
    return root_of(job.inbox, folder)[0] if policy == "move" else job.inbox


def filing_place(job: Job) -> str:
    """The folder that its file goes to, subfolders and all; where it lies where it stays there."""
    policy, folder = _policy(job.settings, failed=job.state is State.FAILED)
    if policy != "move":
        return os.path.dirname(source_path(job))
    return os.path.normpath(os.path.join(job.inbox, folder, os.path.dirname(job.path)))


def filing_folders(job: Job) -> tuple[str, ...]:
    """Those between which its file moves."""
    return tuple(dict.fromkeys((source_folder(job), filing_folder(job))))


def _policy(settings: JobSettings, *, failed: bool) -> tuple[str, str]:
    return (settings.on_failure, settings.failed_dir) if failed else (settings.on_success, settings.done_dir)


@cache  # as many as there are folders, and asked for several times a file
def root_of(inbox: str, configured: str) -> tuple[str, str]:
    """A folder that is never made, and the folder below it, which is: the inbox, or a configured folder elsewhere."""
    full = os.path.normpath(os.path.join(inbox, configured))
    below = os.path.relpath(full, inbox)
    return (full, "") if below.split("/")[0] == ".." else (inbox, below)
