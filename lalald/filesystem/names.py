"""File names: compared, shown, made safe, shortened and numbered. Pure: nothing here looks at a disk.

Names are text with surrogateescape: one that is not UTF-8 keeps its bytes.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence

_LONGEST_ENDING_BYTES = 32

_NOT_PORTABLE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)")


def fold(path: str) -> str:
    """The key under which disks that ignore case and normal forms keep a path: equal keys are one name there."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def equivalent_names(entries: Sequence[str], name: str) -> list[str]:
    """Those entries of a folder that are `name` to a disk which ignores case and normal forms."""
    key = fold(name)
    if f"\0{key}\0" not in fold("\0".join(["", *entries, ""])):  # all at once: a folder may hold 100,000
        return []
    return [entry for entry in entries if fold(entry) == key]


def printable(name: str) -> str:
    """A name for people and logs: what is not UTF-8 or cannot be printed is escaped."""
    if name.isprintable():
        return name
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "replace").decode() for letter in name
    )


def shell_quoted(path: str) -> str:
    """A path as it is typed in a shell: quoted where it must be, odd bytes as `$'\\xNN'` (bash, zsh, ksh)."""
    if path.isprintable():
        return shlex.quote(path)
    escaped = (
        f"\\x{byte:02x}" if byte < 32 or byte > 126 or byte in b"'\\" else chr(byte) for byte in os.fsencode(path)
    )
    return f"$'{''.join(escaped)}'"


def safe_name(text: str, otherwise: str = "_") -> str:
    """Foreign text as part of a file name: no separators, nothing invisible, not hidden, not empty."""
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
    """The same name without what FAT, NTFS and SMB refuse."""
    kept = _NOT_PORTABLE.sub("_", part)
    bare = kept.rstrip(". ")
    kept = bare + "_" if bare != kept else kept
    return f"_{kept}" if _DEVICE.match(kept) else kept


def truncate(text: str, max_bytes: int) -> str:
    """As many whole characters from the start as fit."""
    if len(text) * 4 <= max_bytes or len(os.fsencode(text)) <= max_bytes:
        return text
    kept = text[: max(max_bytes, 0)]
    while len(os.fsencode(kept)) > max_bytes:
        kept = kept[:-1]
    return kept


def with_suffix(name: str, ending: str, max_bytes: int = 255) -> str:
    """`name` followed by `ending`, the name cut where both together would be too long."""
    return truncate(name, max_bytes - len(os.fsencode(ending))) + ending


def truncate_name(name: str, max_bytes: int) -> str:
    """The name, cut where it is too long; its ending stays."""
    return with_suffix(*split_name(name), max_bytes)


def numbered_name(name: str, number: int, max_bytes: int = 255) -> str:
    """`ep1 (2).mp3`; the first is not numbered."""
    if number == 1:
        return name
    stem, ending = split_name(name)
    return with_suffix(stem, f" ({number}){ending}", max_bytes)


def split_name(name: str) -> tuple[str, str]:
    """Stem and ending; what is long is no ending."""
    stem, ending = os.path.splitext(name)
    return (stem, ending) if len(os.fsencode(ending)) <= _LONGEST_ENDING_BYTES else (name, "")
