"""Put named tracks in their places without replacing another program's file, the manifest last.

Each piece, a track or the manifest, is inspected, then handled by its state:

    state      staged file     target                               act
    WAITING    complete        free, or a file to be overwritten    move it there
    IN_BOTH    complete        the same file                        remove the staged file
    PLACED     moved           in place, or removed by a reader     none
    BLOCKED    complete        another program's file               take back the set, raise NameTakenError
    LOST       missing, cut    not ours                             raise StagingLostError
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum, auto

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
from lalald.jobs.job import Job
from lalald.jobs.task import Track
from lalald.outbox import manifest, template
from lalald.outbox.staging import (
    MANIFEST,
    make_staging,
    mark_placing,
    placing_path,
    staged_path,
    undelivered,
    with_tracks,
)
from lalald.outbox.template import TrackKey


class PieceState(StrEnum):
    """Where a piece is; the table is in this module's docstring."""

    WAITING = auto()
    IN_BOTH = auto()
    PLACED = auto()
    BLOCKED = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to be put in place: a track or the manifest."""

    staged: str
    target: str
    size: int
    sha256: str
    overwrite: bool

    @property
    def hidden(self) -> str:
        """Beside the target, for a target on another file system than the staging folder."""
        folder, name = os.path.split(self.staged)
        return os.path.join(os.path.dirname(self.target), f".lalald-{os.path.basename(folder)}-{name}.part")


def place(job: Job, *, crash_point: CrashPoint = no_crash_point) -> Job:
    """Put each staged track under its saved name, the manifest last. Returns the job with its tracks delivered.

    Save it, then call `clear`. Raises NameTakenError (call `reserve` again), StagingLostError (call `without_names` and fetch
    again), DiskFullError, FolderUnavailableError, FileError.
    """
    outbox = job.settings.outbox
    tracks = {key: track for key, track in undelivered(job) if track.path is not None}
    names = {key: track.path for key, track in tracks.items() if track.path is not None}
    placed = with_tracks(job, {key: replace(track, delivered=True) for key, track in tracks.items()})
    with translate_errors(outbox, outbox):
        os.stat(outbox)  # a missing outbox must not look like lost tracks
        pieces = [_piece(job, key, track) for key, track in tracks.items()]
        last = _manifest_piece(placed, names) if manifest.is_due(placed) else None
        try:
            _remove_old_manifest(placed, last, names, crash_point)
            _place(outbox, pieces, crash_point)
            if last is not None:
                _place(outbox, [last], crash_point)
        except NameTakenError:
            _return_to_staging([*pieces, last] if last else pieces, crash_point)
            raise
    return placed


def _piece(job: Job, key: TrackKey, track: Track) -> Piece:
    target = os.path.join(job.settings.outbox, track.path or "")
    overwrites = job.settings.on_conflict == "overwrite"
    return Piece(staged_path(job, *key), target, track.size or 0, track.sha256 or "", overwrites)


def _manifest_piece(placed: Job, names: Mapping[TrackKey, str]) -> Piece | None:
    """The staged manifest; None if a file that must stay has its name."""
    policy = placed.settings.on_conflict
    content = manifest.content(placed)
    target = _manifest_path(placed, names)
    staged = os.path.join(make_staging(placed), MANIFEST)
    piece = Piece(staged, target, len(content), hashlib.sha256(content).hexdigest(), policy == "overwrite")
    if not lstat_or_none(staged) and (lstat_or_none(placing_path(staged)) or lstat_or_none(piece.hidden)):
        return piece
    existing = lstat_or_none(target)
    if policy == "skip" and existing is not None and not _is_ours(piece, existing):
        return None
    _remove(staged, placing_path(staged))
    write_durably(staged, content)
    return piece


def _remove_old_manifest(
    placed: Job, last: Piece | None, names: Mapping[TrackKey, str], crash_point: CrashPoint
) -> None:
    """A manifest that will be overwritten is removed first: it must not describe even some of the new tracks."""
    if not (placed.settings.manifest and placed.settings.on_conflict == "overwrite" and names):
        return
    if last is not None and not lstat_or_none(last.staged):
        return  # the new one may be in place already
    target = _manifest_path(placed, names)
    existing = lstat_or_none(target)
    if existing is not None and stat.S_ISREG(existing.st_mode) and (last is None or not _is_ours(last, existing)):
        os.unlink(target)
        crash_point("old manifest removed")


def _manifest_path(placed: Job, names: Mapping[TrackKey, str]) -> str:
    outbox = placed.settings.outbox
    number, limits = template.naming_of(placed, names, max_name_bytes(outbox))
    return os.path.join(outbox, template.manifest_path(placed, number, limits))


def _place(outbox: str, pieces: Sequence[Piece], crash_point: CrashPoint) -> None:
    """Put all of them in place, durably. Pieces that were placed before a crash are recognized."""
    waiting = []
    for piece in pieces:
        _clear_crashed_reservation(piece)
        if _prepare(piece, inspect(piece)) is PieceState.WAITING:
            waiting.append(piece)
    within = [os.path.relpath(piece.target, outbox) for piece in waiting]
    for path in within:
        DIRECTORY_CACHE.add(outbox, path)
    for folder in dict.fromkeys(map(os.path.dirname, within)):
        create_folders(outbox, folder, crash_point)
    for piece in waiting:
        _put(piece, crash_point)
    for folder in {os.path.dirname(piece.target) for piece in pieces}:
        sync_folder(folder)
        crash_point("folder synced")


def inspect(piece: Piece) -> PieceState:
    """Where the piece is. Changes nothing. Raises OSError."""
    staged, existing = lstat_or_none(piece.staged) or lstat_or_none(piece.hidden), lstat_or_none(piece.target)
    if staged is None:
        was_moved = lstat_or_none(placing_path(piece.staged)) is not None
        is_placed = was_moved or (existing is not None and _is_ours(piece, existing))
        return PieceState.PLACED if is_placed else PieceState.LOST
    if existing is None:
        return PieceState.WAITING if staged.st_size == piece.size else PieceState.LOST
    if os.path.samestat(staged, existing) or _is_ours(piece, existing):
        return PieceState.IN_BOTH
    return PieceState.WAITING if piece.overwrite and not stat.S_ISDIR(existing.st_mode) else PieceState.BLOCKED


def _prepare(piece: Piece, state: PieceState) -> PieceState:
    """Act on every state but WAITING. Raises NameTakenError, StagingLostError."""
    if state is PieceState.IN_BOTH:
        mark_placing(piece.staged)
        _remove(piece.staged, piece.hidden)
    elif state is PieceState.BLOCKED:
        raise _name_taken(piece)
    elif state is PieceState.LOST:
        raise StagingLostError(
            f"{naming.printable(piece.target)} is not in place, and not complete in the staging folder."
        )
    return state


def _clear_crashed_reservation(piece: Piece) -> None:
    """Remove the empty file that a crash during a move left under the target's name."""
    existing = lstat_or_none(piece.target)
    if existing is not None and existing.st_size == 0:
        clear_reservation(piece.target)


def _is_ours(piece: Piece, existing: os.stat_result) -> bool:
    is_same_size = stat.S_ISREG(existing.st_mode) and existing.st_size == piece.size
    return is_same_size and sha256_of(piece.target) == piece.sha256


def _name_taken(piece: Piece) -> NameTakenError:
    return NameTakenError(f"{naming.printable(piece.target)} was created by another program in the meantime.")


def _put(piece: Piece, crash_point: CrashPoint) -> None:
    """Move one piece to its place. The mark is made first: once the staged file is gone, it says that the move happened."""
    mark_placing(piece.staged)
    crash_point("marked")
    try:
        _move(piece, crash_point)
    except (FileExistsError, IsADirectoryError) as error:
        raise _name_taken(piece) from error
    crash_point("placed")


def _move(piece: Piece, crash_point: CrashPoint) -> None:
    """In one step if the file system can; else through a hidden file beside the target, which takes the staged file's role."""
    move = os.replace if piece.overwrite else rename_without_replacing
    try:
        return move(piece.staged, piece.target)
    except OSError as error:
        is_refused = piece.overwrite and _refuses_to_replace(error, piece.target)
        if error.errno not in (errno.EXDEV, errno.ENOENT) and not is_refused:
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
    """Some file systems never rename over a file; with `overwrite`, the old file is removed first."""
    existing = lstat_or_none(target)
    return error.errno in REPLACE_REFUSALS and existing is not None and not stat.S_ISDIR(existing.st_mode)


def _bring_beside(piece: Piece, crash_point: CrashPoint) -> None:
    """By a rename, or by a durable copy if the target is on a file system mounted within the outbox."""
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


def _return_to_staging(pieces: Iterable[Piece], crash_point: CrashPoint) -> None:
    """Move placed pieces back to the staging folder, so that the whole set gets its next name together.

    A piece that a reader has already removed counts as delivered and is not delivered again.
    """
    for piece in pieces:
        existing = lstat_or_none(piece.target)
        if lstat_or_none(piece.staged) is None:
            if lstat_or_none(piece.hidden) is not None:
                _move_back(piece.hidden, piece.staged)
            elif existing is not None and _is_ours(piece, existing):
                _move_back(piece.target, piece.staged)
        _remove(piece.hidden)
        crash_point("returned to staging")


def _move_back(path: str, staged: str) -> None:
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
