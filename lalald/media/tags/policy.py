"""What of a source's tags its results get, and under which title.

A result is not the recording that its source is: identifiers by which players and libraries merge recordings or albums are dropped,
and what speaks of the source's own encoding. The peak of ReplayGain is dropped; its gain stays, so that stems keep their balance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from lalald.media.tags.tag_model import Tags
from lalald.media.tags.text import MOST_TEXT_BYTES, cleaned

# Compared with names in lower case without spaces, underscores and hyphens.
_DROPPED = re.compile(
    r"""
      isrc | barcode | asin | discid | cddb.* | accuraterip.* | acoustid.* | chromaprint.* | fingerprint
    | musicbrainz.* (?<! musicbrainzartistid) (?<! musicbrainzalbumartistid) | musicip.* | mcn | discogs.* | spotify.*
    | encod(?:er|ing|edby|ersettings|eroptions|edusing|erversion|ingtool|ingtime|ingparams) .* | tool | vendor | software
    | itun.* | gapless.* | mp3gain.* | .*peak | .*loudness.* | r128.*
    | cuesheet | majorbrand | minorversion | compatiblebrands | waveformat.* | length | duration | filesize
    | metadatablockpicture | coverart.*
    """,
    re.VERBOSE,
)
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


def is_kept(name: str) -> bool:
    """Whether results get a field of this name."""
    return _DROPPED.fullmatch(re.sub(r"[ _-]", "", name)) is None


def for_track(source: Tags, title: str, values: Mapping[str, str]) -> Tags:
    """The tags of one result. `title` is the template; `values` are those of its placeholders, without {title}.

    Nothing where the source has none. Without a title of its own the source has its file's name, {name}.
    """
    if not source:
        return source
    filled = {**values, "title": source.first("title") or values.get("name", "")}
    text = cleaned("title", _PLACEHOLDER.sub(lambda match: filled.get(match[1], ""), title))
    return replace(source, fields={**source.fields, "title": (text[: MOST_TEXT_BYTES // 4],)})
