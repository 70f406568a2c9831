"""How long a media file plays."""

from __future__ import annotations

from typing import BinaryIO

import mutagen


def duration_seconds(file: BinaryIO, name: str, otherwise: int) -> int:
    """Whole seconds, at least 1; `otherwise` where the file does not tell. `name` is for its ending."""
    try:
        known = mutagen.File(fileobj=file, filename=name)
        length = 0 if known is None else known.info.length  # a file without tags is falsy
        return max(1, round(length)) if length > 0 else otherwise
    except Exception:  # noqa: BLE001  a broken file breaks its reader in any way it likes
        return otherwise
