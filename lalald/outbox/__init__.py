"""Deliver results to the outbox: each is complete or absent, and never replaces another program's file.

    fetch ──► reserve (choose names) ──► saved ──► place (durable) ──► saved ──► clear

Each step can be run again after a crash at any instruction, and makes no second copy.

    fetch, staging          tracks arrive in a hidden folder of the outbox
    template, extensions    the names that results should have
    name_selection          the names that they get
    reservations            names that other jobs are about to use
    placement, manifest     files are put in place
    placement_probe         the same moves, tried before a charge
"""

from lalald.errors import DuplicateChangedError, NameTakenError, StagingLostError
from lalald.outbox.extensions import DownloadHeaders
from lalald.outbox.fetch import copy_duplicate, fetch, is_as_sent, max_track_bytes
from lalald.outbox.name_selection import all_names_exist, reserve, without_names
from lalald.outbox.placement import place
from lalald.outbox.staging import (
    Staged,
    clear,
    clear_staging,
    staged_job_ids,
    staged_path,
    staged_tracks,
    staging_folder,
)
from lalald.outbox.tagging import SourceRead, TrackTags, read_source, tag

__all__ = [
    "DownloadHeaders",
    "DuplicateChangedError",
    "NameTakenError",
    "SourceRead",
    "Staged",
    "StagingLostError",
    "TrackTags",
    "all_names_exist",
    "clear",
    "clear_staging",
    "copy_duplicate",
    "fetch",
    "is_as_sent",
    "max_track_bytes",
    "place",
    "read_source",
    "reserve",
    "staged_job_ids",
    "staged_path",
    "staged_tracks",
    "staging_folder",
    "tag",
    "without_names",
]
