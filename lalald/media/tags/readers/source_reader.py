"""The tags of a source, whatever its container: by its first bytes, never by its name."""

from __future__ import annotations

import struct
from contextlib import suppress

from mutagen import MutagenError

from lalald.media.bounded_file import BoundedFile, is_about_content
from lalald.media.containers.tag_blocks import start_of_audio, tags_behind
from lalald.media.tags.readers.ape_reader import read_ape
from lalald.media.tags.readers.asf_reader import ASF_HEADER, read_asf
from lalald.media.tags.readers.chapter_tracks import chapters_of_track
from lalald.media.tags.readers.chunk_reader import read_aiff, read_wave
from lalald.media.tags.readers.collecting import Collector
from lalald.media.tags.readers.id3_reader import read_id3, read_id3v1
from lalald.media.tags.readers.keyed_items import read_keyed_items
from lalald.media.tags.readers.matroska_reader import EBML_HEADER, read_matroska
from lalald.media.tags.readers.mp4_reader import read_mp4
from lalald.media.tags.readers.ogg_reader import read_ogg
from lalald.media.tags.readers.vorbis_reader import read_flac
from lalald.media.tags.regions import Region, Spool
from lalald.media.tags.tag_model import SourceTags

_MAIN_FIELDS = ("title", "artist", "album")
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def read_tags(file: BoundedFile, spool: Spool) -> SourceTags:
    """What a source carries and its results get; nothing where it has no tags, or is of a kind whose tags are not read.

    What is damaged ends the reading; what was found before is kept. Raises OSError where the file cannot be read.
    """
    collector = Collector(spool)
    try:
        _read(file, collector)
    except OSError as error:
        if not is_about_content(error):
            raise
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001, S110 - parsers fed with hostile bytes fail in every way there is
        pass
    return collector.source_tags()


def _read(file: BoundedFile, collector: Collector) -> None:
    start = start_of_audio(file)
    if start:
        with suppress(EOFError, ValueError, OverflowError, MutagenError, struct.error):
            read_id3(Region(file, 0, start), collector)  # some programs stack several: the first one counts
    head = file.read_at(start, 12)
    if head[:4] == b"fLaC":
        read_flac(file, start, collector)
    elif head[:4] == b"OggS":
        read_ogg(file, start, collector)
    elif head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        read_wave(file, start, collector)
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        read_aiff(file, start, collector)
    elif head[4:8] in _QUICKTIME:
        whole = Region(file, start, file.size)
        read_mp4(whole, collector)
        if not collector.has_chapters():
            collector.add_chapters(chapters_of_track(whole))
        read_keyed_items(whole, collector)  # last: where they are damaged, the rest is read
    elif head[:4] == EBML_HEADER:
        read_matroska(file, start, collector)
    elif file.read_at(start, 16) == ASF_HEADER:
        read_asf(file, start, collector)
    else:
        _read_behind(file, start, collector)


def _read_behind(file: BoundedFile, start: int, collector: Collector) -> None:
    """MP3, WavPack, Monkey's Audio, Musepack: APEv2 fills in what is not known; ID3v1, whose texts are cut off, if nothing is."""
    behind = list(tags_behind(file, start))
    for first, end in behind:
        if file.read_at(max(0, end - 32), 8) == b"APETAGEX":
            with suppress(EOFError, ValueError, struct.error):
                read_ape(Region(file, first, end - first), collector)
    if not any(map(collector.has, _MAIN_FIELDS)):
        read_id3v1(file.read_at(max(0, file.size - 128), 128), collector)
