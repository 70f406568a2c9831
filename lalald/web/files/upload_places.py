"""Where an upload may begin and end: an inbox with its marker, a name that is free, a disk that has room. Runs on the inbox's threads."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from lalald.filesystem import markers
from lalald.filesystem.confined import upload_parts
from lalald.store.page.upload_rows import Upload
from lalald.web.files.upload_errors import name_in_use
from lalald.web.responses import RequestError

FREE_BYTES = 1 << 30  # that stay free in the inbox's and the state's file systems


class UploadPlaces:
    """`begin` and `finish` raise RequestError where the upload may not, and OSError."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = str(state_dir)
        self._devices: dict[str, int] = {}  # of inboxes, as their own threads have found them

    def begin(self, one: Upload, marker: str | None, others: Sequence[Upload]) -> int:
        """The inode of the new part."""
        check_marker(one.inbox, marker)
        if is_taken(one.inbox, one.path):
            raise name_in_use(one.path, "A file in the inbox has")
        self._check_room(one, others)
        return upload_parts.create_part(one.inbox, one.id)

    def finish(self, one: Upload, marker: str | None, descriptor: int) -> None:
        """The whole part becomes a file of the inbox."""
        check_marker(one.inbox, marker)
        upload_parts.move_in(one.inbox, one.id, one.path, descriptor)

    def _check_room(self, one: Upload, others: Sequence[Upload]) -> None:
        """What other uploads still need is theirs."""
        device = self._devices[one.inbox] = os.stat(one.inbox).st_dev
        promised = sum(other.size - other.offset for other in others if self._may_share(other.inbox, device))
        free = upload_parts.free_bytes(one.inbox) - promised - one.size
        is_state_disk = os.stat(self._state_dir).st_dev == device
        state_free = free if is_state_disk else upload_parts.free_bytes(self._state_dir)
        if min(free, state_free) < FREE_BYTES:
            where = "inbox" if free < FREE_BYTES else "state folder"
            hint = f"1 GiB stays free, and {promised:,} bytes are promised to other uploads."
            raise RequestError(507, f"There is no room for it on the disk of the {where}.", code="no_room", hint=hint)

    def _may_share(self, inbox: str, device: int) -> bool:
        """Whether an inbox is on this disk, as far as is known: the inbox itself, which may hang, is not asked."""
        return self._devices.get(inbox, device) == device


def check_marker(root: str, marker: str | None) -> None:
    """Raises RequestError where the inbox is not there, or is another one than the daemon knows."""
    found = markers.inspect_folder(root, marker)
    if marker is None or not found.available:
        reason = found.reason or "lalald has not scanned it yet"
        raise RequestError(503, f"The inbox is unavailable: {reason}.", code="folder_unavailable")


def is_taken(root: str, path: str) -> bool:
    """Whether something has this name. Raises RequestError where a link leads out of the folder, or a file is in its way."""
    try:
        return upload_parts.is_taken(root, path)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        message = "A link, or a file, is in the place of one of its folders."
        raise RequestError(422, message, code="not_taken") from error
