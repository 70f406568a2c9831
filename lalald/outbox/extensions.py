"""What the names of tracks end in: `mp3`, `flac` and the like. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lalald.jobs.job import Task, Track

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")

# In a name that the service gives, what follows the last dot is an ending only where it is a known one.
_KNOWN = frozenset(
    """
    aac ac3 aif aiff alac amr ape au avi caf dsf flac flv m4a m4b m4v mid mka mkv mov mp2 mp3 mp4 mpeg mpg
    oga ogg ogv opus ra ts wav wave weba webm wma wmv wv 3gp
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_OF_TYPE = {
    "application/ogg": "ogg",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/aiff": "aiff",
    "audio/flac": "flac",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/vnd.wave": "wav",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/webm": "webm",
    "audio/x-aiff": "aiff",
    "audio/x-flac": "flac",
    "audio/x-m4a": "m4a",
    "audio/x-ms-wma": "wma",
    "audio/x-wav": "wav",
    "video/mp4": "mp4",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
}


@dataclass(frozen=True, slots=True)
class DownloadHeaders:
    """What the download of a track said about it in its headers."""

    file_name: str | None = None
    content_type: str | None = None


def ending_of(name: str) -> str:
    """`mp3` of `ep1.MP3`; '' where the last few characters are no ending."""
    match = _ENDING.search(name)
    return match[0][1:].lower() if match else ""


def extension(task: Task, track: Track, source_path: str, headers: DownloadHeaders | None = None) -> str:
    """A track's ending without its dot: from `encoder_format`, its name, the download's headers, the source, or ''."""
    asked = task.presets.get("encoder_format")
    if isinstance(asked, str) and re.fullmatch(r"[A-Za-z0-9]{1,10}", asked):
        return asked.lower()
    found = _known_ending(track.name or "")
    if not found and headers:
        found = _known_ending(headers.file_name or "") or _ending_of_type(headers.content_type)
    return found or ending_of(source_path)


def _known_ending(name: str) -> str:
    ending = ending_of(name.strip())
    return ending if ending in _KNOWN else ""


def _ending_of_type(content_type: str | None) -> str:
    return _OF_TYPE.get((content_type or "").partition(";")[0].strip().lower(), "")
