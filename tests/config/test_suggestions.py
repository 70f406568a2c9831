"""What is said of a word that is not known: the one that was meant, or how to get what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from lalald import presets
from lalald.config.model import Existing, LogLevel, OnConflict, Watch
from lalald.config.schema.file_schema import File, Inbox, Rule
from lalald.container import defaults
from lalald.errors import ConfigError
from lalald.media import track_labels
from lalald.suggestions import ADVICE, SYNONYMS, did_you_mean, meant, unknown
from tests.support.config_files import ONE_RULE, mistakes, one, with_inbox, with_rule

NO_VOCALS = "That is the track no_vocals, everything but the vocals: write mode: stem_separator with stem: vocals, and tracks: [no_vocals]"


def rule(text: str) -> str:
    return with_rule(f"- {{{text}}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode: stem_separator, presets: {stem: guitar}", 'Did you mean "electric_guitar" or "acoustic_guitar"?'),
        ("mode: stem_separator, presets: {stem: Guitars}", 'Did you mean "electric_guitar" or "acoustic_guitar"?'),
        ("mode: multistem, presets: {stem_list: [vocals, guitar]}", 'Did you mean "electric_guitar" or "acoustic_guitar"?'),
        ("mode: stem_separator, presets: {stem: instrumental}", NO_VOCALS),
        ("mode: stem_separator, presets: {stem: Karaoke}", NO_VOCALS),
        ("mode: stem_separator, presets: {stem: no_vocals}", NO_VOCALS),
        ("mode: multistem, presets: {stem_list: [drum, instrumental]}", NO_VOCALS),
        ("mode: stem_separator, presets: {stem: drums}", 'Did you mean "drum"?'),
        ("mode: stem_separator, presets: {stem: synth}", 'Did you mean "synthesizer"?'),
        ("mode: stem_separator, presets: {stem: keyboard}", 'Did you mean "piano"?'),
        ("mode: stem_separator, presets: {stem: other}", "such as no_drum of stem: drum"),
        ("mode: stem_separator, presets: {stem: all}", "mode: multistem with stem_list"),
        ("mode: stem_separator, presets: {stem: backing_vocals}", "stem: vocals with multivocal: lead_back"),
        ("mode: stem_separator, presets: {stem: vocals}, tracks: [instrumental]", 'Did you mean "no_vocals"?'),
        ("mode: stem_separator, presets: {stem: drum}, tracks: [other]", 'Did you mean "back"?'),
        ("mode: multistem, presets: {stem_list: [vocals]}, tracks: [instrumental]", 'Did you mean "no_multistem"?'),
        ("mode: stem_separator, presets: {stem: vocals}, labels: {karaoke: K}", 'Did you mean "no_vocals"?'),
        ("mode: stem_separator, presets: {stem: vocals, multivocal: lead_back}, tracks: [lead]", 'Did you mean "vocals@0"?'),
        ("mode: stem_separator, presets: {stem: vocals, multivocal: lead_back}, tracks: [backing]", 'Did you mean "vocals@1"?'),
        ("mode: voice_clean, tracks: [clean]", 'Did you mean "voice"?'),
        ("mode: karaoke, presets: {stem: vocals}", "mode: stem_separator, presets: {stem: vocals}, tracks: [no_vocals]"),
        ("mode: vocal_remover", "mode: stem_separator, presets: {stem: vocals}, tracks: [no_vocals]"),
        ("mode: Vocal-Remover", "mode: stem_separator, presets: {stem: vocals}, tracks: [no_vocals]"),
        ("mode: denoise", 'Did you mean "voice_clean"?'),
        ("mode: voice_changer, presets: {voice_pack_id: ALEX_KAYE}", 'Did you mean "change_voice"?'),
        ("mode: demuser, presets: {encoder_format: m4a}", 'Did you mean "aac"?'),
        ("mode: demuser, presets: {encoder_format: wave}", 'Did you mean "wav"?'),
        ("mode: demuser, presets: {encoder_format: opus}", 'Did you mean "ogg"?'),
        ("mode: demuser, presets: {format: mp3}", 'Did you mean "encoder_format"?'),
        ("mode: multistem, presets: {stems: [drum]}", 'Did you mean "stem_list"?'),
        ("mode: stem_separator, presets: {stems: drum}", 'Did you mean "stem"?'),
        ("mode: demuser, on_conflict: replace", 'Did you mean "overwrite"?'),
        ("mode: demuser, pattern: x", 'Did you mean "match"?'),
    ],
)  # fmt: skip
def test_a_rule_says_what_was_meant(text: str, said: str, tmp_path: Path) -> None:
    assert any(said in line for line in mistakes(tmp_path, rule(text)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (with_inbox("existing: process"), 'Did you mean "take"?'),
        (with_inbox("watch: inotify"), 'Did you mean "native"?'),
        (with_inbox("exclude: x"), 'Did you mean "ignore"?'),
        (f"{ONE_RULE}log: {{level: warn}}\n", 'Did you mean "warning"?'),
        (ONE_RULE.replace("path:", "folder:"), 'Did you mean "path"?'),
        (ONE_RULE.replace("outbox:", "output_dir:"), 'Did you mean "outbox"?'),
    ],
)
def test_a_key_or_word_of_an_inbox_says_what_was_meant(text: str, said: str, tmp_path: Path) -> None:
    assert said in one(mistakes(tmp_path, text))


def test_a_license_key_at_a_misspelled_key_is_not_shown(tmp_path: Path) -> None:
    secret = "0123456789abcdef0123"
    for key in ("license_key", "api_key", "licence_key_file", "license_key_fil"):
        (reported,) = mistakes(tmp_path, f"{ONE_RULE}{key}: {secret}\n")
        assert 'Did you mean "license_key_file"?' in reported
        assert secret not in reported


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LALALD_STEM": "vocals,drum"}, "LALALD_STEMS"),
        ({"LALALD_STEM": "vocals, drum", "LALALD_MODE": "stem_separator"}, "LALALD_STEMS"),
        ({"LALALD_STEM": "guitar"}, 'LALALD_STEM: unknown stem "guitar"'),
        ({"LALALD_STEM": "guitar"}, '"electric_guitar" or "acoustic_guitar"'),
        ({"LALALD_STEM": "instrumental"}, "no_vocals"),
        ({"LALALD_MODE": "karaoke"}, "stem_separator"),
        ({"LALALD_MODE": "multistem", "LALALD_STEM": "drum,guitar"}, '"electric_guitar" or "acoustic_guitar"'),
        ({"LALALD_MODE": "stem_seperator", "LALALD_STEM": "vocal"}, 'LALALD_STEM: unknown stem "vocal"'),
        ({"LALALD_MODE": "stem_seperator", "LALALD_STEM": "vocal"}, 'LALALD_MODE: unknown mode "stem_seperator"'),
    ],
)
def test_the_container_says_what_was_meant(environ: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        defaults.write(tmp_path / "default.yaml", environ)
    assert said in f"{refused.value} {refused.value.hint}"


def test_one_stem_is_not_a_list(tmp_path: Path) -> None:
    defaults.write(tmp_path / "default.yaml", {"LALALD_STEM": "drum,"})
    assert '"stem": "drum"' in (tmp_path / "default.yaml").read_text()


WORDS = {
    "mode": presets.MODES,
    "stem": presets.STEMS,
    "track": (*(label for _, label in track_labels.possible_labels(None)), "stem", "back"),
    "encoder_format": presets.FORMATS,
    "level": get_args(LogLevel),
    "watch": get_args(Watch),
    "on_conflict": get_args(OnConflict),
    "existing": get_args(Existing),
    "key": (*File.model_fields, *Inbox.model_fields, *Rule.model_fields),
    "preset": tuple(name for mode in presets.MODES for name in presets.ACCEPTED[mode]),
}


def test_every_synonym_leads_to_a_known_word() -> None:
    assert SYNONYMS.keys() == WORDS.keys()
    for kind, synonyms in SYNONYMS.items():
        for word, words in synonyms.items():
            assert words, word
            assert set(words) <= set(WORDS[kind]), (kind, word)
            assert meant(word, WORDS[kind], kind), (kind, word)
    for kind, advice in ADVICE.items():
        assert not set(advice) & set(WORDS[kind]), kind


def test_a_word_like_none_is_not_guessed() -> None:
    assert did_you_mean("zzz", presets.STEMS, "stem") == ""
    assert unknown("stem", "zzz", presets.STEMS).endswith(", wind)")
