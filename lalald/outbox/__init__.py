"""A result is whole or absent, and never replaces a stranger's file.

    fetch ──► reserve: names chosen ──► (saved) ──► place: in place, durable ──► (saved) ──► clear

Each step can be run again after a crash at any instruction, and makes no second copy.
"""

from lalald.errors import NameTakenError, StagingLostError, TwinChangedError
from lalald.outbox.extensions import Heard
from lalald.outbox.fetch import copy_twin, fetch, most_track_bytes
from lalald.outbox.name_selection import are_there, reserve, unnamed
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

__all__ = [
    "Heard",
    "NameTakenError",
    "Staged",
    "StagingLostError",
    "TwinChangedError",
    "are_there",
    "clear",
    "clear_staging",
    "copy_twin",
    "fetch",
    "most_track_bytes",
    "place",
    "reserve",
    "staged_job_ids",
    "staged_path",
    "staged_tracks",
    "staging_folder",
    "unnamed",
]
