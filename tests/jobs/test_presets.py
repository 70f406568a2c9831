"""Presets of the five modes, against the service's document and its prose."""

from __future__ import annotations

from typing import Any

import pytest

from lalald.media import track_labels
from lalald.media.track_labels import expected_labels
from lalald.presets import Finding, as_sent, mistakes, stems, warnings
from lalald.sandbox.service import modes
from lalald.sandbox.service.validation import (
    DemuserPresets,
    MultistemPresets,
    StemSeparatorPresets,
    VoiceChangePresets,
    VoiceCleanPresets,
)

WIRE: dict[str, Any] = {
    "stem_separator": StemSeparatorPresets,
    "multistem": MultistemPresets,
    "demuser": DemuserPresets,
    "voice_clean": VoiceCleanPresets,
    "change_voice": VoiceChangePresets,
}

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("stem_separator", {"stem": "vocals"}),
    ("stem_separator", {"stem": "vocals", "multivocal": "lead_back"}),
    ("stem_separator", {"stem": "drum", "multivocal": None, "encoder_format": None, "extraction_level": "clear_cut"}),
    ("stem_separator", {"stem": "wind", "splitter": "phoenix"}),
    ("stem_separator", {"stem": "strings", "splitter": "auto"}),
    ("stem_separator", {"stem": "synthesizer"}),
    ("multistem", {"stem_list": ["vocals"]}),
    ("multistem", {"stem_list": ["vocals", "drum", "piano", "bass", "electric_guitar", "acoustic_guitar"]}),
    ("demuser", {}),
    ("demuser", {"stem": "music", "encoder_format": "ogg", "splitter": "lynx"}),
    ("voice_clean", {"noise_cancelling_level": 2, "dereverb_enabled": True, "encoder_format": "flac"}),
    ("voice_clean", {"stem": "voice", "noise_cancelling_level": 0}),
    ("change_voice", {"voice_pack_id": "ALEX_KAYE"}),
    ("change_voice", {"voice_pack_id": "f5dc9452", "accent": 0, "tonality_reference": "voice_pack"}),
    ("change_voice", {"voice_pack_id": "VETRANA", "accent": 0.33, "dereverb_enabled": False}),
]


@pytest.mark.parametrize(("mode", "written"), GOOD)
def test_good_presets_pass_here_and_on_the_wire(mode: str, written: dict[str, Any]) -> None:
    assert mistakes(mode, written) == ()
    WIRE[mode].model_validate(as_sent(mode, written))


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("stem_separator", {}, "stem", "missing: stem_separator needs it"),
    ("stem_separator", {"stem": "vocal"}, "stem", 'unknown stem "vocal" (known: vocals, drum'),
    ("stem_separator", {"stem": "vocal"}, "stem", 'Did you mean "vocals"?'),
    ("stem_separator", {"stem": None}, "stem", "got nothing"),
    ("stem_separator", {"stem": 5}, "stem", 'unknown stem 5'),
    ("stem_separator", {"stem": ["vocals"]}, "stem", "got a list"),
    ("stem_separator", {"stem": True}, "stem", "got true"),
    ("stem_separator", {"stem": "wind", "splitter": "perseus"}, "splitter", "needs the splitter phoenix or auto"),
    ("stem_separator", {"stem": "drum", "multivocal": "lead_back"}, "multivocal", 'works only with the stem "vocals"'),
    ("stem_separator", {"stem": "vocals", "multivocal": "lead"}, "multivocal", "unknown multivocal"),
    ("stem_separator", {"stem": "vocals", "splitter": "fenix"}, "splitter", 'Did you mean "phoenix"?'),
    ("stem_separator", {"stem": "vocals", "noise_cancelling_level": 1}, "noise_cancelling_level", "belongs to voice_clean"),
    ("stem_separator", {"stem": "vocals", "encoder": "mp3"}, "encoder", 'Did you mean "encoder_format"?'),
    ("multistem", {}, "stem_list", "missing: multistem needs it"),
    ("multistem", {"stem_list": []}, "stem_list", "got an empty one"),
    ("multistem", {"stem_list": "vocals"}, "stem_list", "expected a list of 1 to 6 stems"),
    ("multistem", {"stem_list": ["vocals", "vocals"]}, "stem_list", '"vocals" is listed twice'),
    ("multistem", {"stem_list": ["vocals", "wind"]}, "stem_list", 'unknown stem "wind"'),
    ("multistem", {"stem_list": [["vocals"]]}, "stem_list", "unknown stem a list"),
    ("demuser", {"stem": "vocals"}, "stem", 'unknown stem "vocals" (known: music)'),
    ("voice_clean", {"noise_cancelling_level": 3}, "noise_cancelling_level", "expected one of 0, 1, 2, got 3"),
    ("voice_clean", {"noise_cancelling_level": "2"}, "noise_cancelling_level", 'got "2"'),
    ("voice_clean", {"noise_cancelling_level": True}, "noise_cancelling_level", "got true"),
    ("voice_clean", {"dereverb_enabled": "yes please"}, "dereverb_enabled", "expected true or false"),
    ("change_voice", {}, "voice_pack_id", "missing: change_voice needs it"),
    ("change_voice", {"voice_pack_id": 5}, "voice_pack_id", "expected a name such as ALEX_KAYE"),
    ("change_voice", {"voice_pack_id": "VETRANA", "accent": 1.01}, "accent", "expected a number from 0 to 1, got 1.01"),
    ("change_voice", {"voice_pack_id": "VETRANA", "accent": True}, "accent", "got true"),
    ("change_voice", {"voice_pack_id": "VETRANA", "accent": "0.5"}, "accent", 'got "0.5"'),
    ("change_voice", {"voice_pack_id": "VETRANA", "splitter": "orion"}, "splitter", "belongs to stem_separator"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "written", "key", "words"), BAD)
def test_a_bad_preset_is_named_with_what_is_known(mode: str, written: dict[str, Any], key: str, words: str) -> None:
    found = dict(mistakes(mode, written))
    assert list(found) == [key]
    assert words in found[key]


def test_all_errors_of_a_mode_are_reported_together() -> None:
    written = {"stem": "vocal", "encoder_format": "mp4", "dereverb_enabled": 1, "foo": 2}
    assert [found.key for found in mistakes("stem_separator", written)] == [*written]


@pytest.mark.parametrize(
    ("mode", "written", "keys"),
    [
        ("stem_separator", {"stem": "drum", "dereverb_enabled": True}, ["dereverb_enabled"]),
        ("stem_separator", {"stem": "drum", "dereverb_enabled": False}, []),
        ("stem_separator", {"stem": "vocals", "dereverb_enabled": True}, []),
        ("multistem", {"stem_list": ["drum"], "dereverb_enabled": True}, ["dereverb_enabled"]),
        ("multistem", {"stem_list": ["drum", "vocals"], "dereverb_enabled": True}, []),
        ("demuser", {"dereverb_enabled": True}, ["dereverb_enabled"]),
        ("voice_clean", {"dereverb_enabled": True}, []),
        ("change_voice", {"voice_pack_id": "VETRANA", "dereverb_enabled": True}, []),
        ("stem_separator", {"stem": "vocals", "splitter": "andromeda", "extraction_level": "clear_cut"}, ["extraction_level"]),
        ("multistem", {"stem_list": ["bass"], "splitter": "andromeda", "extraction_level": "clear_cut"}, ["extraction_level"]),
        ("stem_separator", {"stem": "vocals", "splitter": "orion", "extraction_level": "clear_cut"}, []),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_warned_of(mode: str, written: dict[str, Any], keys: list[str]) -> None:
    assert [found.key for found in warnings(mode, written)] == keys


def test_only_what_the_user_set_is_sent_but_for_the_only_possible_stem() -> None:
    assert as_sent("demuser", {}) == {"stem": "music"}
    assert as_sent("voice_clean", {"dereverb_enabled": True}) == {"dereverb_enabled": True, "stem": "voice"}
    assert as_sent("stem_separator", {"stem": "drum", "splitter": "auto"}) == {"stem": "drum"}
    assert as_sent("stem_separator", {"stem": "drum", "encoder_format": None}) == {
        "stem": "drum",
        "encoder_format": None,
    }


def test_unchecked_presets_go_as_they_are() -> None:
    written = {"stem": "guitar", "splitter": "auto", "depth": 3}
    assert as_sent("stem_separator", written, unchecked=True) == written


@pytest.mark.parametrize(("mode", "written"), GOOD)
def test_charge_and_tracks_are_those_of_the_service(mode: str, written: dict[str, Any]) -> None:
    wire = WIRE[mode].model_validate(as_sent(mode, written))
    assert stems(mode, written) == modes.stems_charged(wire)
    assert expected_labels(mode, written) == tuple(
        (track.type, track.label) for track in modes.tracks(wire, backing_vocals=True)
    )


def test_every_label_that_a_mode_makes_is_known() -> None:
    made = {label for mode, written in GOOD for _, label in expected_labels(mode, written)}
    assert made <= track_labels.known_labels()


def test_a_finding_says_where_and_what() -> None:
    (found,) = mistakes("change_voice", {"voice_pack_id": ""})
    assert isinstance(found, Finding)
    assert found.key == "voice_pack_id"
    assert 'got ""' in found.words
