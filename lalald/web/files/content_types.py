"""The content type of a file by its extension: audio and video only; nothing that a browser would run."""

from __future__ import annotations

_TYPES = {
    "aac": "audio/aac", "aif": "audio/aiff", "aifc": "audio/aiff", "aiff": "audio/aiff", "flac": "audio/flac",
    "m4a": "audio/mp4", "m4b": "audio/mp4", "mp3": "audio/mpeg", "oga": "audio/ogg", "ogg": "audio/ogg",
    "opus": "audio/ogg", "wav": "audio/wav", "wave": "audio/wav", "weba": "audio/webm", "wma": "audio/x-ms-wma",
    "avi": "video/x-msvideo", "m4v": "video/mp4", "mkv": "video/x-matroska", "mov": "video/quicktime",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpeg", "ogv": "video/ogg", "webm": "video/webm",
}  # fmt: skip
_PLAYABLE = frozenset({"aac", "flac", "m4a", "m4b", "mp3", "mp4", "oga", "ogg", "opus", "wav", "wave", "weba", "webm"})
OTHER = "application/octet-stream"


def content_type(name: str) -> str:
    return _TYPES.get(_ending(name), OTHER)


def is_playable(name: str) -> bool:
    """Whether today's browsers decode such a file."""
    return _ending(name) in _PLAYABLE


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
