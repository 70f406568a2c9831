"""What is never taken because of its name."""

from __future__ import annotations

from lalald.naming import shown

OWN_PREFIX = ".lalald"

_TEMPORARY_ENDINGS = (".part", ".partial", ".tmp", ".crdownload", ".download", ".filepart", ".!qb", ".!sync")
_TEMPORARY_STARTS = ("~", "._", ".~lock.", ".syncthing.")
_LITTER = frozenset(
    {
        "@eadir", "@recycle", ".@__thumb", "#recycle", "#snapshot", ".stfolder", ".stversions", "thumbs.db", "desktop.ini",
        ".ds_store", "lost+found", "system volume information",
    }
)  # fmt: skip


def refusal(name: str) -> str | None:
    """Why a file or folder of this name is never taken, in words; None where its name is no obstacle."""
    folded = name.lower()
    if folded.startswith(OWN_PREFIX):
        return "it belongs to lalald itself"
    if folded in _LITTER:
        return "it is litter of a NAS or an operating system"
    if folded.startswith(_TEMPORARY_STARTS) or folded.endswith(_TEMPORARY_ENDINGS):
        return "its name is that of a temporary file"
    if name.startswith("."):
        return "it is hidden"
    return None


def refusal_of_path(path: str) -> str | None:
    """`refusal` of the file or of the first of its folders that has one; `path` is within the inbox."""
    *folders, name = path.split("/")
    for folder in folders:
        if reason := refusal(folder):
            return f"it lies in the folder {shown(folder)}, and {reason}"
    return refusal(name)
