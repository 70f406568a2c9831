"""Files and folders that are never processed because of their names."""

from __future__ import annotations

import re

from lalald.filesystem.names import printable
from lalald.media.types import MEDIA

OWN_PREFIX = ".lalald"

_TEMPORARY_ENDINGS = (
    ".part", ".partial", ".tmp", ".crdownload", ".download", ".filepart", ".!qb", ".!sync", ".aria2", ".ytdl",
)  # fmt: skip
_TEMPORARY_STARTS = ("~", "._", ".~lock.", ".syncthing.")
# @eaDir, #recycle, Thumbs.db and others; in lower case, since names are compared without regard to case.
_LITTER = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@sharebin", "@tmp", ".@__thumb", "#recycle", "#snapshot", "trashbox",
        "$recycle.bin", "recycler", "recycled", "system volume information", "thumbs.db", "desktop.ini",
        "__macosx", "network trash folder", "temporary items", ".ds_store", ".trashes", ".stfolder", ".stversions",
        "lost+found",
    }
)  # fmt: skip
_LITTER_PATTERN = re.compile(r"found\.\d{3}|\.trash(-.*)?", re.DOTALL)

# yt-dlp saves a format that it will merge as NAME.fID.EXT (YoutubeDL.process_info). The ID is the site's own: 137 and 251-drc at
# YouTube, 100026 at Bilibili, hls-1080p elsewhere. Numbers below 100 occur in ordinary names, such as `lap.f1.mp4`; yt-dlp merges
# only these extensions.
_INTERMEDIATE = re.compile(
    r".+\.f(?:\d{3,}[a-z]?(?:-\w+)*|(?:hls|dash|https?|m3u8|mpd|ism|rtmp|video|audio)[-_].+)\.(?:mp4|m4a|webm|mkv|flv|3gp)",
    re.DOTALL,
)
_BEFORE_RENAMING = re.compile(
    r".+\.temp\.(?P<ending>[^.]+)", re.DOTALL
)  # FFmpegPostProcessor: NAME.temp.EXT becomes NAME.EXT
_FRAGMENT = re.compile(r".+\.part-frag\d+", re.DOTALL)


def refusal(name: str) -> str | None:
    """Why a file or folder of this name is never processed; None if it may be."""
    folded = name.lower()
    if folded.startswith(OWN_PREFIX):
        return "it belongs to lalald"
    if folded in _LITTER or _LITTER_PATTERN.fullmatch(folded):
        return f"it belongs to a NAS or operating system ({printable(name)} is always ignored)"
    if pattern := _temporary(folded):
        return f"its name marks a temporary file ({pattern})"
    if _INTERMEDIATE.fullmatch(folded):
        return "its name marks one stream that a downloader has yet to merge (NAME.f137.mp4); rename it to have it processed"
    if (match := _BEFORE_RENAMING.fullmatch(folded)) and match["ending"] in MEDIA:
        return "its name marks a temporary file of a downloader (NAME.temp.mp4); rename it to have it processed"
    if name.startswith("."):
        return "it is hidden (its name begins with a dot)"
    return None


def _temporary(folded: str) -> str | None:
    """The pattern of temporary names that a name matches."""
    if (start := next(filter(folded.startswith, _TEMPORARY_STARTS), None)) is not None:
        return f"{start}*"
    if (ending := next(filter(folded.endswith, _TEMPORARY_ENDINGS), None)) is not None:
        return f"*{ending}"
    return "*.part-fragN" if _FRAGMENT.fullmatch(folded) else None


def refusal_of_path(path: str) -> str | None:
    """`refusal` of the file, or of the first of its folders that has one; `path` is relative to the inbox."""
    *folders, name = path.split("/")
    for folder in folders:
        if reason := refusal(folder):
            return f"it is in the folder {printable(folder)}: {reason}"
    return refusal(name)
