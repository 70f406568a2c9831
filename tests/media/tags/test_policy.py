"""What a result gets of its source's tags, and under which title."""

from __future__ import annotations

import pytest

from lalald.media.tags.policy import for_track, is_kept
from lalald.media.tags.tag_model import Tags
from lalald.media.tags.title_template import DEFAULT_TITLE

VALUES = {"label": "no_vocals", "name": "My song", "type": "back", "task": "1", "rule": "songs", "mode": "multistem"}


@pytest.mark.parametrize(
    "name",
    [
        "isrc", "acoustid_id", "acoustid fingerprint", "acoustid_fingerprint", "musicbrainz_trackid",
        "musicbrainz track id", "musicbrainz_albumid", "musicbrainz album id", "musicbrainz release track id",
        "musicbrainz_releasegroupid", "musicbrainz_workid", "replaygain_track_peak", "replaygain_album_peak",
        "itunsmpb", "itunnorm", "itunes_cddb_1", "encoder", "encoded-by", "encodersettings", "mp3gain_undo",
        "barcode", "discid", "cuesheet", "major_brand", "r128_album_gain",
    ],
)  # fmt: skip
def test_identifiers_encoder_data_and_peaks_are_dropped(name: str) -> None:
    assert not is_kept(name)


@pytest.mark.parametrize(
    "name",
    [
        "title", "artist", "comment", "replaygain_track_gain", "musicbrainz_artistid", "musicbrainz artist id",
        "musicbrainz_albumartistid", "catalognumber", "label", "key", "energylevel", "mood", "toolbox",
    ],
)  # fmt: skip
def test_everything_else_stays(name: str) -> None:
    assert is_kept(name)


def test_the_title_is_that_of_the_source_with_the_label() -> None:
    tags = for_track(Tags({"title": ("Song", "Other"), "artist": ("A",)}), DEFAULT_TITLE, VALUES)
    assert tags == Tags({"title": ("Song (no_vocals)",), "artist": ("A",)})


def test_a_source_without_a_title_has_its_files_name() -> None:
    assert for_track(Tags({"artist": ("A",)}), DEFAULT_TITLE, VALUES).first("title") == "My song (no_vocals)"


def test_a_source_without_tags_gives_none() -> None:
    assert not for_track(Tags(), DEFAULT_TITLE, VALUES)


def test_a_template_is_filled_once() -> None:
    tags = for_track(Tags({"title": ("{label} {x}",)}), "{title} [{label}] {rule}/{mode}/{task}/{type}", VALUES)
    assert tags.first("title") == "{label} {x} [no_vocals] songs/multistem/1/back"


def test_a_name_that_is_not_utf8_makes_a_title_that_is() -> None:
    tags = for_track(Tags({"artist": ("A",)}), "{name}", {"name": "caf\udce9\n"})
    assert tags.first("title") == "caf"
