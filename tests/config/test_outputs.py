"""What a rule delivers and how it is called: templates, tracks, labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import mistakes, one, warnings, with_rule


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("{nam}/{label}.{ext}", "unknown placeholder {nam} (known: {date} {dir}"),
        ("{nam}/{label}.{ext}", 'Did you mean "{name}"?'),
        ("{}/{label}", "unknown placeholder {}"),
        ("{name!r}", "unknown placeholder {name!r}"),
        ("{label.__class__}", "unknown placeholder {label.__class__}"),
        ("{name}/{label", "a brace without its partner"),
        ("{{name}}/{label}", "a brace without its partner"),
        ("/srv/{name}/{label}.{ext}", "a path within the outbox is expected"),
        ("../{name}/{label}.{ext}", "a path within the outbox is expected"),
        ("{name}/../../{label}.{ext}", "a path within the outbox is expected"),
        ("~/{name}/{label}.{ext}", "a path within the outbox is expected"),
        ("{name}/{label}/", "expected the name of a file"),
        ("{name}.{ext}", "voice and no_voice would share a name; tell them apart with {label}"),
        ("x.{ext}", "voice and no_voice would share a name"),
    ],
)
def test_a_template_that_cannot_work_is_refused(tmp_path: Path, output: str, words: str) -> None:
    reported = one(mistakes(tmp_path, with_rule(f'- {{mode: voice_clean, output: "{output}"}}')))
    assert reported.startswith("line 6  inboxes[0].rules[0].output: ")
    assert words in reported


@pytest.mark.parametrize(
    ("output", "presets", "words"),
    [
        ("{name}/{label}", "{}", "results will have names without an extension"),
        ("{name}/{label}.mp3", "{}", "names every result .mp3, whatever its format"),
        ("{name}/{label}.mp3", "{encoder_format: wav}", "names every result .mp3, whatever its format"),
        ("{label}.{ext}", "{}", "all files share their results' names"),
    ],
)
def test_a_template_that_may_disappoint_gets_a_warning(tmp_path: Path, output: str, presets: str, words: str) -> None:
    text = with_rule(f'- {{mode: voice_clean, presets: {presets}, output: "{output}"}}')
    assert words in one(warnings(tmp_path, text))


@pytest.mark.parametrize(
    "rule",
    [
        '{mode: voice_clean, output: "{name}.{ext}", tracks: stem}',
        '{mode: voice_clean, output: "{dir}/{name} - {type}.{ext}"}',
        '{mode: voice_clean, presets: {encoder_format: mp3}, output: "{id}/{label}.mp3"}',
        '{mode: voice_clean, output: "{date} {rule} {mode}/{name}/{label}.{ext}"}',
        '{mode: change_voice, presets: {voice_pack_id: VETRANA}, output: "{name}.{ext}"}',
    ],
)
def test_a_template_with_distinct_track_names_is_valid(tmp_path: Path, rule: str) -> None:
    assert warnings(tmp_path, with_rule(f"- {rule}")) == []


VOCALS = "{mode: stem_separator, presets: {stem: vocals}}"
VOCALS_AS = "{{mode: stem_separator, presets: {{stem: vocals, encoder_format: {}}}}}"
BAND = "{mode: multistem, presets: {stem_list: [vocals, drum]}}"


def test_two_tasks_whose_tracks_would_share_a_name_are_refused(tmp_path: Path) -> None:
    reported = one(mistakes(tmp_path, with_rule(f"- tasks: [{VOCALS}, {BAND}]")))
    assert "vocals of task 1 and vocals of task 2 would share a name; tell them apart with {task}" in reported


@pytest.mark.parametrize(
    "rule",
    [
        f'{{tasks: [{VOCALS}, {BAND}], output: "{{name}}/{{task}}/{{label}}.{{ext}}"}}',
        f'{{tasks: [{VOCALS}, {BAND}], output: "{{name}}/{{mode}}-{{label}}.{{ext}}"}}',
        f"{{tasks: [{VOCALS}, {BAND}], tracks: [back]}}",
        f"{{tasks: [{VOCALS_AS.format('mp3')}, {VOCALS_AS.format('flac')}]}}",
        "{tasks: [{mode: stem_separator, presets: {stem: vocals}}, {mode: stem_separator, presets: {stem: drum}}]}",
    ],
)
def test_two_tasks_with_distinct_track_names_are_valid(tmp_path: Path, rule: str) -> None:
    assert warnings(tmp_path, with_rule(f"- {rule}")) == []


def test_names_that_differ_in_case_alone_are_one_on_many_disks(tmp_path: Path) -> None:
    named = "{{name: {}, mode: stem_separator, presets: {{stem: vocals}}}}"
    rule = (
        f"- {{tasks: [{named.format('Take')}, {named.format('take')}], output: '{{name}}/{{task}}/{{label}}.{{ext}}'}}"
    )
    assert "vocals of task Take and vocals of task take would share a name" in one(mistakes(tmp_path, with_rule(rule)))


def test_a_format_left_to_the_source_may_be_any(tmp_path: Path) -> None:
    rule = f"- tasks: [{VOCALS}, {VOCALS_AS.format('flac')}]"
    assert "would share a name" in one(mistakes(tmp_path, with_rule(rule)))


def test_labels_that_make_two_names_one_are_refused(tmp_path: Path) -> None:
    reported = one(mistakes(tmp_path, with_rule("- {mode: voice_clean, labels: {voice: Clean, no_voice: CLEAN}}")))
    assert 'labels.no_voice: "CLEAN" is the new name of voice too' in reported
    reported = one(mistakes(tmp_path, with_rule("- {mode: voice_clean, labels: {voice: no_voice}}")))
    assert "would share a name" in reported


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            "tracks: [voic]",
            'tracks[0]: unknown track "voic" (known: no_voice, voice, stem, back). Did you mean "voice"?',
        ),
        (
            "tracks: [Clean], labels: {voice: Clean}",
            'tracks[0]: "Clean" is a name given by `labels`; write the original "voice"',
        ),
        ("tracks: []", "tracks: an empty list would deliver nothing"),
        ("labels: {voic: Clean}", 'labels.voic: unknown label "voic" (known: no_voice, voice). Did you mean "voice"?'),
        ("labels: {voice: a/b}", "labels.voice: expected the name of one file, without a slash"),
        ("labels: {voice: ..}", "labels.voice: expected the name of one file"),
        ("labels: {voice: [a]}", "labels.voice: expected a text, got a list"),
    ],
)
def test_tracks_and_labels_that_the_mode_does_not_make_are_errors(tmp_path: Path, keys: str, words: str) -> None:
    assert words in one(mistakes(tmp_path, with_rule(f"- {{mode: voice_clean, {keys}}}")))


def test_a_label_of_another_mode_is_only_warned_of(tmp_path: Path) -> None:
    reported = one(warnings(tmp_path, with_rule("- {mode: voice_clean, labels: {no_vocals: Instrumental}}")))
    assert "labels.no_vocals: has no effect: this rule makes no_voice, voice" in reported


def test_unchecked_rules_may_name_any_track(tmp_path: Path) -> None:
    rule = "- {mode: stem_separator, unchecked: true, presets: {stem: guitar}, tracks: [solo], labels: {solo: Solo}}"
    assert warnings(tmp_path, with_rule(rule)) == []


def test_lead_and_backing_vocals_have_their_own_labels(tmp_path: Path) -> None:
    rule = "- {mode: stem_separator, presets: {stem: vocals, multivocal: lead_back}, tracks: [vocals@0, mix_no_lead]}"
    assert warnings(tmp_path, with_rule(rule)) == []
    reported = one(mistakes(tmp_path, with_rule(rule.replace("vocals@0", "vocals"))))
    assert 'unknown track "vocals"' in reported
