"""Choose the extension of a track's file name: `mp3`, `flac` and the like. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lalald.jobs.task import Task, Track

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")

# In a name given by the service, the text after the last dot is an extension only if it is one of these.
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
    """What the response headers of a download say about the track."""

    file_name: str | None = None
    content_type: str | None = None


def extension_in(name: str) -> str:
    """`mp3` of `ep1.MP3`; '' if the name has no extension."""
    match = _ENDING.search(name)
    return match[0][1:].lower() if match else ""


def extension(task: Task, track: Track, source_path: str, headers: DownloadHeaders | None = None) -> str:
    """A track's extension without its dot: from `encoder_format`, its name, the download's headers, the source, or ''."""
    preset = task.presets.get("encoder_format")
    if isinstance(preset, str) and re.fullmatch(r"[A-Za-z0-9]{1,10}", preset):
        return preset.lower()
    found = _known_extension(track.name or "")
    if not found and headers:
        found = _known_extension(headers.file_name or "") or _extension_of_type(headers.content_type)
    return found or extension_in(source_path)


def _known_extension(name: str) -> str:
    found = extension_in(name.strip())
    return found if found in _KNOWN else ""


def _extension_of_type(content_type: str | None) -> str:
    return _OF_TYPE.get((content_type or "").partition(";")[0].strip().lower(), "")
