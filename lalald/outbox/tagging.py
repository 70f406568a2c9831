"""A track that has arrived gets its tags, before it has a name in the outbox.

    track, verified ──► what proves it is removed ──► it gets its tags, durable ──► recorded

Nothing that goes wrong here concerns the track: it is delivered as it came. Killed before the record, it is fetched again.
"""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial

from lalald.filesystem.file_numbers import int64
from lalald.filesystem.files import (
    CrashPoint,
    is_full,
    no_crash_point,
    sync_file,
    translate_errors,
)
from lalald.jobs.failures.unexpected_errors import describe_exception
from lalald.jobs.job import Job
from lalald.jobs.tag_notes import TagNote
from lalald.jobs.task import Task, Track
from lalald.media.bounded_file import BoundedFile
from lalald.media.tags.regions import Spool
from lalald.media.tags.tag_model import SourceTags, Tags, UnsuitableError, UnwritableError
from lalald.outbox.staging import Staged, discard_proofs, make_staging, save_record, staged_path
from lalald.outbox.tag_writing import HalfWrittenError, Written, write_tags


@dataclass
class SourceRead:
    """What is known of a source's tags by now: nothing yet, what they are, or why they are not known. Set once, read on any thread."""

    found: SourceTags | TagNote | None = None
    faults: list[str] = field(default_factory=list)  # for the log

    def of_track(self, job: Job, task: Task, track: Track) -> TrackTags | None:
        """What a track gets; None while nothing is known."""
        if self.found is None:
            return None
        if isinstance(self.found, TagNote):
            return TrackTags(notes=(self.found,))
        from lalald.media.tags.policy import for_track  # its patterns take milliseconds of every start to compile

        tags = for_track(self.found.tags, job.settings.tag_title, _title_values(job, task, track))
        return TrackTags(tags, tuple(TagNote(omission) for omission in sorted(self.found.omissions)), self.faults)


@dataclass(frozen=True, slots=True)
class TrackTags:
    tags: Tags = field(default_factory=Tags)
    notes: tuple[TagNote, ...] = ()
    faults: list[str] = field(default_factory=list)


NO_TAGS = SourceRead(SourceTags())


def _title_values(job: Job, task: Task, track: Track) -> dict[str, str]:
    return {
        "label": job.settings.labels.get(track.label, track.label),
        "name": os.path.splitext(os.path.basename(job.path))[0],
        "type": track.type,
        "task": task.title,
        "rule": job.rule,
        "mode": task.mode,
    }


def read_source(job: Job, path: str) -> SourceTags | TagNote:
    """The tags of the job's source, at `path`; its pictures are kept in a nameless file of the outbox. Raises nothing about the source."""
    from lalald.media.tags.readers.source_reader import read_tags  # with mutagen, which an idle daemon does not load

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return TagNote.SOURCE_MISSING
    except OSError:
        return TagNote.SOURCE_UNREADABLE
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or (facts.st_size, int64(facts.st_mtime_ns)) != (job.size, job.mtime_ns):
            return TagNote.SOURCE_CHANGED
        return read_tags(BoundedFile(descriptor, facts.st_size), Spool(lambda: _nameless_file(job)))
    except OSError as error:
        return TagNote.NO_ROOM if is_full(error) else TagNote.SOURCE_UNREADABLE
    finally:
        os.close(descriptor)


def _nameless_file(job: Job) -> int:
    with tempfile.TemporaryFile(dir=make_staging(job)) as file:
        return os.dup(file.fileno())


def tag(
    job: Job, task_number: int, index: int, staged: Staged, wanted: TrackTags, crash_point: CrashPoint = no_crash_point
) -> Staged:
    """`finish` for a track in the staging folder. Raises FileError."""
    path = staged_path(job, task_number, index)
    with translate_errors(path, job.settings.outbox):
        return finish(path, staged, wanted, crash_point)


def finish(path: str, staged: Staged, wanted: TrackTags | None, crash_point: CrashPoint = no_crash_point) -> Staged:
    """The verified track at `path`, durable, with its tags; as it came while nothing is known of them. Raises OSError."""
    if wanted is None:
        _sync(path)
        return save_record(path, staged)
    notes = list(wanted.notes)
    written: Written | None = None
    if wanted.tags or staged.sent_sha256 not in (None, staged.sha256):
        try:
            written = write_tags(path, wanted.tags, partial(discard_proofs, path), crash_point)
        except HalfWrittenError:
            raise
        except UnsuitableError:
            pass  # left as it is
        except UnwritableError:
            notes.append(TagNote.UNWRITABLE)
        except Exception as error:  # noqa: BLE001 - whatever it is, the track is paid, and whole
            notes.append(TagNote.NO_ROOM if isinstance(error, OSError) and is_full(error) else TagNote.FAILED)
            wanted.faults.append(fault_in_words(error))
    staged = replace(staged, notes=tuple(dict.fromkeys(notes)), is_final=True)
    if written is None:
        _sync(path)
        return save_record(path, staged)
    crash_point("tagged")
    return save_record(path, replace(staged, size=written.size, sha256=written.sha256))


def fault_in_words(error: Exception) -> str:
    """Why tags were not written, for the log."""
    if not isinstance(error, OSError):
        return f"internal: {describe_exception(error)}"
    if is_full(error):
        return "the outbox has no room to write them; free some space there"
    return f"the file system reports: {error.strerror or error}"


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
