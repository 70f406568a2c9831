"""The known audio and video types, by file extension."""

from __future__ import annotations

AUDIO = frozenset(
    """
    3ga aac ac3 aif aifc aiff alac amr ape au caf dff dsf dts eac3 flac m4a m4b m4p m4r mka mp1 mp2 mp3 mpc mpga oga ogg opus
    ra rf64 shn snd spx tak tta voc w64 wav wave weba wma wv
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
VIDEO = frozenset(
    """
    3g2 3gp asf avi divx dv f4v flv m2t m2ts m2v m4v mkv mov mp4 mpe mpeg mpg mts mxf ogm ogv qt rm rmvb ts vob webm wmv
    """.split()  # noqa: SIM905
)
MEDIA = AUDIO | VIDEO


def is_media(name: str) -> bool:
    """Whether a file's extension, in any case, is one of the known audio and video types."""
    stem, dot, extension = name.rpartition(".")
    return bool(dot) and bool(stem) and extension.lower() in MEDIA
