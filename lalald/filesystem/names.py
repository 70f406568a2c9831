"""Compare, print, sanitize, shorten and number file names. Pure; the disk is not accessed.

Names are text with surrogateescape, so that a name that is not UTF-8 keeps its bytes.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence

_MAX_EXTENSION_BYTES = 32

_NOT_PORTABLE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)")


def fold(path: str) -> str:
    """The path as compared by disks that ignore case and normal forms: equal results are the same name there."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def equivalent_names(entries: Sequence[str], name: str) -> list[str]:
    """The entries of a folder that a disk which ignores case and normal forms takes for `name`."""
    key = fold(name)
    if f"\0{key}\0" not in fold("\0".join(["", *entries, ""])):  # all at once: a folder may have 100,000 entries
        return []
    return [entry for entry in entries if fold(entry) == key]


def printable(name: str) -> str:
    """A name for people and logs: characters that are not UTF-8 or not printable are escaped."""
    if name.isprintable():
        return name
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "replace").decode() for letter in name
    )


def shell_quoted(path: str) -> str:
    """A path as typed in a shell: quoted if necessary, unusual bytes as `$'\\xNN'` (bash, zsh, ksh)."""
    if path.isprintable():
        return shlex.quote(path)
    escaped = (
        f"\\x{byte:02x}" if byte < 32 or byte > 126 or byte in b"'\\" else chr(byte) for byte in os.fsencode(path)
    )
    return f"$'{''.join(escaped)}'"


def safe_name(text: str, otherwise: str = "_") -> str:
    """Text from elsewhere as part of a file name: without separators and invisible characters, not hidden, not empty."""
    kept = text.replace("/", "_").replace("\\", "_")
    if not kept.isprintable():
        kept = "".join("_" if _invisible(character) else character for character in kept)
    return visible_name(kept.strip()) or otherwise


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible_name(part: str) -> str:
    bare = part.lstrip(".")
    return part if bare == part else f"_{bare}"


def portable_name(part: str) -> str:
    """The name without characters and endings that FAT, NTFS and SMB refuse."""
    kept = _NOT_PORTABLE.sub("_", part)
    bare = kept.rstrip(". ")
    kept = bare + "_" if bare != kept else kept
    return f"_{kept}" if _DEVICE.match(kept) else kept


def truncate(text: str, max_bytes: int) -> str:
    """As many whole characters from the start as fit into `max_bytes`."""
    if len(text) * 4 <= max_bytes or len(os.fsencode(text)) <= max_bytes:
        return text
    kept = text[: max(max_bytes, 0)]
    while len(os.fsencode(kept)) > max_bytes:
        kept = kept[:-1]
    return kept


def with_suffix(name: str, suffix: str, max_bytes: int = 255) -> str:
    """`name` followed by `suffix`, with the name cut if both together are too long."""
    return truncate(name, max_bytes - len(os.fsencode(suffix))) + suffix


def truncate_name(name: str, max_bytes: int) -> str:
    """The name, cut if it is too long; its extension stays."""
    return with_suffix(*split_name(name), max_bytes)


def numbered_name(name: str, number: int, max_bytes: int = 255) -> str:
    """`ep1 (2).mp3`; the number 1 is not shown."""
    if number == 1:
        return name
    stem, extension = split_name(name)
    return with_suffix(stem, f" ({number}){extension}", max_bytes)


def split_name(name: str) -> tuple[str, str]:
    """Stem and extension; a very long one does not count as an extension."""
    stem, extension = os.path.splitext(name)
    return (stem, extension) if len(os.fsencode(extension)) <= _MAX_EXTENSION_BYTES else (name, "")
