"""Named tracks go to their places without replacing a stranger's file, the manifest last."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from lalald.errors import FileError, NameTakenError, StagingLostError
from lalald.filesystem import names as naming
from lalald.filesystem.directory_cache import DIRECTORY_CACHE
from lalald.filesystem.files import (
    CrashPoint,
    create_folders,
    lstat_or_none,
    max_name_bytes,
    no_crash_point,
    sha256_of,
    sync_folder,
    translate_errors,
    write_durably,
)
from lalald.filesystem.placeholders import clear_reservation
from lalald.filesystem.renaming import REPLACE_REFUSALS, rename_without_replacing
from lalald.filesystem.writeback import copy_durably
from lalald.jobs.job import Job, Track
from lalald.outbox import manifest, template
from lalald.outbox.staging import MANIFEST, make_staging, mark, placing, staged_path, undelivered, with_tracks
from lalald.outbox.template import TrackKey


@dataclass(frozen=True, slots=True)
class _Piece:
    """One file on its way."""

    staged: str
    target: str
    size: int
    sha256: str
    overwrite: bool

    @property
    def hidden(self) -> str:
        """Beside the target, where that is on another file system than the staging folder."""
        folder, name = os.path.split(self.staged)
        return os.path.join(os.path.dirname(self.target), f".lalald-{os.path.basename(folder)}-{name}.part")


def place(job: Job, *, crash_point: CrashPoint = no_crash_point) -> Job:
    """Puts each staged track under its saved name, the manifest last. Returns the job with its tracks delivered.

    Save it, then call `clear`. Raises NameTakenError (call `reserve` again), StagingLostError (call `unnamed` and fetch
    again), DiskFullError, FolderUnavailableError, FileError.
    """
    outbox = job.settings.outbox
    owed = {key: track for key, track in undelivered(job) if track.path is not None}
    names = {key: track.path for key, track in owed.items() if track.path is not None}
    placed = with_tracks(job, {key: replace(track, delivered=True) for key, track in owed.items()})
    with translate_errors(outbox, outbox):
        os.stat(outbox)  # without it nothing can be said of what is lost
        pieces = [_piece(job, key, track) for key, track in owed.items()]
        last = _manifest_piece(placed, names) if manifest.is_due(placed) else None
        try:
            _retire(placed, last, names, crash_point)
            _place(outbox, pieces, crash_point)
            if last is not None:
                _place(outbox, [last], crash_point)
        except NameTakenError:
            _take_back([*pieces, last] if last else pieces, crash_point)
            raise
    return placed


def _piece(job: Job, key: TrackKey, track: Track) -> _Piece:
    target = os.path.join(job.settings.outbox, track.path or "")
    return _Piece(
        staged_path(job, *key), target, track.size or 0, track.sha256 or "", job.settings.on_conflict == "overwrite"
    )


def _manifest_piece(placed: Job, names: Mapping[TrackKey, str]) -> _Piece | None:
    """The manifest, staged; None where a file that has to be left alone has its name."""
    policy = placed.settings.on_conflict
    content = manifest.content(placed)
    target = _manifest_path(placed, names)
    staged = os.path.join(make_staging(placed), MANIFEST)
    piece = _Piece(staged, target, len(content), hashlib.sha256(content).hexdigest(), policy == "overwrite")
    if not lstat_or_none(staged) and (lstat_or_none(placing(staged)) or lstat_or_none(piece.hidden)):
        return piece
    there = lstat_or_none(target)
    if policy == "skip" and there is not None and not _is_ours(piece, there):
        return None
    _remove(staged, placing(staged))
    write_durably(staged, content)
    return piece


def _retire(placed: Job, last: _Piece | None, names: Mapping[TrackKey, str], crash_point: CrashPoint) -> None:
    """An old manifest that is to be overwritten goes first: it must not speak for the new tracks, not even for some of them."""
    if not (placed.settings.manifest and placed.settings.on_conflict == "overwrite" and names):
        return
    if last is not None and not lstat_or_none(last.staged):
        return  # it may be in place already
    target = _manifest_path(placed, names)
    there = lstat_or_none(target)
    if there is not None and stat.S_ISREG(there.st_mode) and (last is None or not _is_ours(last, there)):
        os.unlink(target)
        crash_point("old manifest removed")


def _manifest_path(placed: Job, names: Mapping[TrackKey, str]) -> str:
    outbox = placed.settings.outbox
    number, limits = template.named_as(placed, names, max_name_bytes(outbox))
    return os.path.join(outbox, template.manifest_path(placed, number, limits))


def _place(outbox: str, pieces: Sequence[_Piece], crash_point: CrashPoint) -> None:
    """All of them in place and durable. What has been placed before a crash is recognised and left."""
    owed = [piece for piece in pieces if not _is_placed(piece)]
    within = [os.path.relpath(piece.target, outbox) for piece in owed]
    for path in within:
        DIRECTORY_CACHE.make(outbox, path)
    for folder in dict.fromkeys(map(os.path.dirname, within)):
        create_folders(outbox, folder, crash_point)
    for piece in owed:
        _put(piece, crash_point)
    for folder in {os.path.dirname(piece.target) for piece in pieces}:
        sync_folder(folder)
        crash_point("folder synced")


def _is_placed(piece: _Piece) -> bool:
    """Whether it is in place, or was, if a reader has taken it away since. Raises NameTakenError, StagingLostError."""
    waiting, there = lstat_or_none(piece.staged) or lstat_or_none(piece.hidden), lstat_or_none(piece.target)
    if there is not None and there.st_size == 0 and clear_reservation(piece.target):
        there = None
    if waiting is None:
        if lstat_or_none(placing(piece.staged)) or (there is not None and _is_ours(piece, there)):
            return True
        raise StagingLostError(f"{naming.printable(piece.target)} is neither in place nor in the staging folder.")
    if there is None:
        if waiting.st_size != piece.size:
            message = (
                f"what is staged for {naming.printable(piece.target)} has {waiting.st_size} bytes, not {piece.size}."
            )
            raise StagingLostError(message)
        return False
    if os.path.samestat(waiting, there) or _is_ours(piece, there):
        mark(piece.staged)
        _remove(piece.staged, piece.hidden)
        return True
    if piece.overwrite and not stat.S_ISDIR(there.st_mode):
        return False
    raise _taken(piece)


def _is_ours(piece: _Piece, there: os.stat_result) -> bool:
    return stat.S_ISREG(there.st_mode) and there.st_size == piece.size and sha256_of(piece.target) == piece.sha256


def _taken(piece: _Piece) -> NameTakenError:
    return NameTakenError(f"{naming.printable(piece.target)} was created by another program in the meantime.")


def _put(piece: _Piece, crash_point: CrashPoint) -> None:
    """One piece to its place. The mark is made before: once the staged file is gone, it says that this has happened."""
    mark(piece.staged)
    crash_point("marked")
    try:
        _move(piece, crash_point)
    except (FileExistsError, IsADirectoryError) as error:
        raise _taken(piece) from error
    crash_point("placed")


def _move(piece: _Piece, crash_point: CrashPoint) -> None:
    """In one step; else the file goes beside its target first, under a hidden name that takes the staged file's part."""
    move = os.replace if piece.overwrite else rename_without_replacing
    try:
        return move(piece.staged, piece.target)
    except OSError as error:
        refused = piece.overwrite and _refuses_to_replace(error, piece.target)
        if error.errno not in (errno.EXDEV, errno.ENOENT) and not refused:
            raise
    if lstat_or_none(piece.staged) is not None:
        _bring_beside(piece, crash_point)
    try:
        return move(piece.hidden, piece.target)
    except OSError as error:
        if not (piece.overwrite and _refuses_to_replace(error, piece.target)):
            raise
    os.unlink(piece.target)
    crash_point("old file removed")
    return rename_without_replacing(piece.hidden, piece.target)


def _refuses_to_replace(error: OSError, target: str) -> bool:
    """Some file systems rename, but never over a file: its owner allows that it is removed before."""
    there = lstat_or_none(target)
    return error.errno in REPLACE_REFUSALS and there is not None and not stat.S_ISDIR(there.st_mode)


def _bring_beside(piece: _Piece, crash_point: CrashPoint) -> None:
    """By a rename; by a durable copy where the target is on a file system that is mounted within the outbox."""
    try:
        return rename_without_replacing(piece.staged, piece.hidden)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EEXIST):
            raise
    if copy_durably(piece.staged, piece.hidden, crash_point) != piece.sha256:
        raise FileError(f"{naming.printable(piece.target)} could not be copied whole.", hint="Check the disk.")
    sync_folder(os.path.dirname(piece.hidden))
    crash_point("copied")
    os.unlink(piece.staged)
    crash_point("staged removed")
    return None


def _take_back(pieces: Iterable[_Piece], crash_point: CrashPoint) -> None:
    """What is in place goes back to the staging folder, so that the set can move along together.

    What a reader has taken away already counts as delivered, and is not given again.
    """
    for piece in pieces:
        there = lstat_or_none(piece.target)
        if lstat_or_none(piece.staged) is None:
            if lstat_or_none(piece.hidden) is not None:
                _bring_back(piece.hidden, piece.staged)
            elif there is not None and _is_ours(piece, there):
                _bring_back(piece.target, piece.staged)
        _remove(piece.hidden)
        crash_point("taken back")


def _bring_back(path: str, staged: str) -> None:
    try:
        os.rename(path, staged)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_durably(path, staged)
        os.unlink(path)


def _remove(*paths: str) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
