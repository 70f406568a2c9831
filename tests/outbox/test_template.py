"""The names of result files for unusual sources, rules and answers."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lalald.filesystem import names
from lalald.jobs.job import Job
from lalald.jobs.task import Task, Track
from lalald.outbox import template
from lalald.outbox.extensions import DownloadHeaders, extension
from lalald.outbox.template import Limits
from tests.support.delivery_process import job_at

# Names as a disk gives them: any bytes but NUL and the separator, read with surrogateescape.
FILE_NAMES = st.binary(min_size=1, max_size=255).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b"0").replace(b"/", b"-")).lstrip(".") or "x"
)
# What the service says: any text that JSON can carry, lone surrogates included.
SAID = st.text(st.characters(codec=None, categories=None), max_size=400)
SOUND = [
    "{dir}/{name}/{label}.{ext}",
    "{label}.{ext}",
    "{name}-{label}.{ext}",
    "{date}/{id} {name}/{task}/{type} {label}.{ext}",
    "{rule}/{mode}/{label}/{name}.{ext}",
    "stems of {dir}/{name}",
    "{label}",
    "x" * 300 + "{label}.{ext}",
]
TEMPLATES = st.sampled_from([*SOUND, "../{label}/..{name}/.{ext}", "/{label}.{ext}", "{name}/../../{label}"])
LIMITS = st.sampled_from([Limits(), Limits(143), Limits(255, portable=True), Limits(143, portable=True)])


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return job_at(tmp_path_factory.mktemp("naming"))


def named(job: Job, path: str, labels: list[str], output: str) -> Job:
    tracks = tuple(Track(type="stem", label=label, url="u") for label in labels)
    task = replace(job.tasks[0], tracks=tracks)
    return replace(job, path=path, tasks=(task,), settings=replace(job.settings, output=output))


def endings(job: Job, ext: str = "mp3") -> dict[template.TrackKey, str]:
    return {key: ext for key, _, _ in template.wanted_tracks(job)}


@given(
    FILE_NAMES,
    st.lists(FILE_NAMES, max_size=3),
    st.lists(SAID, min_size=1, max_size=4),
    TEMPLATES,
    LIMITS,
    st.integers(1, 12),
)
@example("ep1.mp3", [], ["../../etc/passwd", "..", ""], "{label}.{ext}", Limits(), 1)
@example("ep1.mp3", [], [".lalald", ".lalald-staging", "\0"], "{label}", Limits(), 2)
@example("ep1.mp3", [], ["a" * 400, "a" * 401], "{name}-{label}.{ext}", Limits(143), 2)
def test_names_stay_in_the_outbox_visible_short_enough_and_unique(
    job: Job, name: str, folders: list[str], labels: list[str], output: str, limits: Limits, number: int
) -> None:
    asked = named(job, "/".join([*folders, name]), labels, output)
    paths = template.paths(asked, endings(asked), number, limits)
    for path in [*paths.values(), template.manifest_path(asked, number, limits)]:
        parts = path.split("/")
        assert all(part and not part.startswith(".") and "\0" not in part for part in parts), path
        assert all(len(os.fsencode(part)) <= limits.part_bytes for part in parts), path
        if limits.portable:
            assert all(names.portable_name(part) == part for part in parts), path
    assert len({names.fold(path) for path in paths.values()}) == len(labels)


@given(FILE_NAMES, st.lists(SAID, min_size=1, max_size=3), st.sampled_from(SOUND), LIMITS, st.integers(1, 40))
def test_the_number_of_a_set_is_read_back_from_its_names(
    job: Job, name: str, labels: list[str], output: str, limits: Limits, number: int
) -> None:
    asked = named(job, name, labels, output)
    paths = template.paths(asked, endings(asked), number, limits)
    assume(not set(paths.values()) & set(template.paths(asked, endings(asked), 1, limits).values()) or number == 1)
    found, found_limits = template.naming_of(asked, paths, limits.part_bytes)
    assert template.paths(asked, endings(asked), found, found_limits) == paths
    assert template.manifest_path(asked, found, limits) == template.manifest_path(asked, number, limits)


@given(FILE_NAMES, TEMPLATES, LIMITS, st.integers(1, 30), st.integers(1, 30))
def test_different_numbers_give_sets_without_a_common_name(
    job: Job, name: str, output: str, limits: Limits, one: int, other: int
) -> None:
    assume(one != other)
    asked = named(job, name, ["vocals", "no_vocals"], output)
    first = {names.fold(path) for path in template.paths(asked, endings(asked), one, limits).values()}
    second = {names.fold(path) for path in template.paths(asked, endings(asked), other, limits).values()}
    assert not first & second


@given(st.text(max_size=60))
def test_names_that_are_equal_to_a_disk_have_the_same_key(text: str) -> None:
    for form in ("NFC", "NFD"):
        same = unicodedata.normalize(form, text)
        assert names.fold(same) == names.fold(text)
        assert names.fold(names.fold(same)) == names.fold(text)
    assert (
        names.fold(text.upper().lower()) == names.fold(text.lower()) or "ı" in text or "İ" in text or not text.isascii()
    )
    assert names.equivalent_names([text], text) == [text]


@given(st.text("abcdefgXYZ äÖé", max_size=40))
def test_case_makes_no_difference(text: str) -> None:
    assert names.fold(text.upper()) == names.fold(text.lower())
    assert names.equivalent_names([text.upper()], text.lower()) == [text.upper()]


@given(FILE_NAMES, st.integers(2, 999), st.sampled_from([143, 255]))
def test_a_numbered_name_fits_and_keeps_number_and_extension(name: str, number: int, most: int) -> None:
    found = names.numbered_name(name, number, most)
    assert len(os.fsencode(found)) <= most
    assert f" ({number})" in found
    assert len(os.fsencode(names.truncate_name(name, most))) <= most
    assert len(os.fsencode(name)) > most or names.truncate_name(name, most) == name
    ending = os.path.splitext(name)[1]
    if len(os.fsencode(ending)) <= 32:
        assert found.endswith(f" ({number}){ending}")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("vocals@0", "vocals@0"),
        ("Lead Vocals", "Lead Vocals"),
        ("../up", "_up"),
        ("a/b\\c", "a_b_c"),
        ("..", "_"),
        ("", "_"),
        (" \n", "_"),
        ("new\nline", "new_line"),
        (".hidden", "_hidden"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("lone \ud800", "lone _"),
        ("Gesang für alle", "Gesang für alle"),
    ],
)
def test_labels_become_safe_names(said: str, kept: str) -> None:
    kept = "__up" if said == "../up" else kept
    assert names.safe_name(said) == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a:b?", "a_b_"),
        ("end.", "end_"),
        ("end ", "end_"),
        ("CON", "_CON"),
        ("nul.mp3", "_nul.mp3"),
        ("console", "console"),
        ("é", "é"),
    ],
)
def test_portable_names_contain_nothing_that_windows_file_systems_refuse(said: str, kept: str) -> None:
    assert names.portable_name(said) == kept


@pytest.mark.parametrize(
    ("path", "output", "found"),
    [
        ("ep1.mp3", "{dir}/{name}/{label}.{ext}", "ep1/voice.flac"),
        ("a/b/ep1.mp3", "{dir}/{name}/{label}.{ext}", "a/b/ep1/voice.flac"),
        ("a/b/ep1.mp3", "{dir} stems/{name} {label}.{ext}", "a/b stems/ep1 voice.flac"),
        ("a/{label}.mp3", "{dir}/{name}/{label}.{ext}", "a/{label}/voice.flac"),
        ("ep1.mp3", "{rule}/{mode}/{task}/{type}/{id}.{ext}", "podcasts/voice_clean/1/stem/7.flac"),
        ("ep1.tar.gz", "{name}.{label}", "ep1.tar.voice"),
        ("noending", "{name}/{label}.{ext}", "noending/voice.flac"),
        ("ep1.mp3", "{unknown}/{label}.{ext}", "{unknown}/voice.flac"),
    ],
)
def test_a_template_is_filled_part_by_part(job: Job, path: str, output: str, found: str) -> None:
    asked = named(job, path, ["voice"], output)
    assert template.paths(asked, endings(asked, "flac")) == {(1, 0): found}


@pytest.mark.parametrize(
    ("output", "second", "manifest"),
    [
        ("{dir}/{name}/{label}.{ext}", "a/ep1 (2)/voice.mp3", "a/ep1 (2)/lalald.json"),
        ("{name} stems/{label}.{ext}", "ep1 stems (2)/voice.mp3", "ep1 stems (2)/lalald.json"),
        ("{id}/{name}/{label}.{ext}", "7 (2)/ep1/voice.mp3", "7 (2)/ep1/lalald.json"),
        ("{dir}/{name}/{task}/{label}.{ext}", "a/ep1 (2)/1/voice.mp3", "a/ep1 (2)/lalald.json"),
        ("{dir}/{label}.{ext}", "a/voice (2).mp3", "a/ep1 (2).lalald.json"),
        ("{label}/{name}.{ext}", "voice/ep1 (2).mp3", "ep1 (2).lalald.json"),
        ("{name}-{label}.wav", "ep1-voice (2).wav", "ep1 (2).lalald.json"),
        ("{name}-{label}", "ep1-voice (2)", "ep1 (2).lalald.json"),
    ],
)
def test_the_second_set_is_numbered_in_its_own_folder_or_file_by_file(
    job: Job, output: str, second: str, manifest: str
) -> None:
    asked = named(job, "a/ep1.mp3", ["voice"], output)
    assert template.paths(asked, endings(asked), 2) == {(1, 0): second}
    assert template.manifest_path(asked, 2) == manifest


def test_labels_are_renamed_by_the_rule(job: Job) -> None:
    asked = named(job, "ep1.mp3", ["no_vocals", "vocals@0"], "{label}.{ext}")
    asked = replace(asked, settings=replace(asked.settings, labels={"no_vocals": "In/strumental"}))
    assert list(template.paths(asked, endings(asked)).values()) == ["In_strumental.mp3", "vocals@0.mp3"]


def test_two_tracks_of_one_job_never_share_a_name(job: Job) -> None:
    asked = named(job, "ep1.mp3", ["Vocals", "vocals", "VOCALS"], "{name}/{label}.{ext}")
    assert list(template.paths(asked, endings(asked)).values()) == [
        "ep1/Vocals.mp3",
        "ep1/vocals-2.mp3",
        "ep1/VOCALS-3.mp3",
    ]
    without = named(job, "ep1.mp3", ["vocals", "drum"], "{name}.{ext}")
    assert list(template.paths(without, endings(without)).values()) == ["ep1.mp3", "ep1-2.mp3"]


def test_unwanted_tracks_get_no_name(job: Job) -> None:
    asked = named(job, "ep1.mp3", ["vocals", "no_vocals"], "{label}.{ext}")
    tracks = (replace(asked.tasks[0].tracks[0], wanted=False), asked.tasks[0].tracks[1])
    asked = replace(asked, tasks=(replace(asked.tasks[0], tracks=tracks),))
    assert template.paths(asked, endings(asked)) == {(1, 1): "no_vocals.mp3"}


@pytest.mark.parametrize(
    ("asked", "name", "headers", "source", "found"),
    [
        ("flac", "x.mp3", DownloadHeaders("y.wav", "audio/ogg"), "z.m4a", "flac"),
        (None, "x.MP3", DownloadHeaders("y.wav", "audio/ogg"), "z.m4a", "mp3"),
        (None, "Mr. Jones", DownloadHeaders("y.wav", "audio/ogg"), "z.m4a", "wav"),
        (None, None, DownloadHeaders("y", "audio/ogg; charset=binary"), "z.m4a", "ogg"),
        (None, None, DownloadHeaders(None, "application/octet-stream"), "z.M4A", "m4a"),
        (None, None, None, "z.m4a", "m4a"),
        (None, None, None, "noending", ""),
        ("../up", None, None, "z.m4a", "m4a"),
        (7, None, None, "z.m4a", "m4a"),
    ],
)
def test_the_extension_comes_from_the_presets_the_name_the_headers_or_the_source(
    asked: object, name: str | None, headers: DownloadHeaders | None, source: str, found: str
) -> None:
    task = Task(1, None, "voice_clean", {} if asked is None else {"encoder_format": asked})
    assert extension(task, Track("stem", "voice", "u", name=name), source, headers) == found


def test_without_an_extension_there_is_no_dot(job: Job) -> None:
    asked = named(job, "ep1", ["voice"], "{name}/{label}.{ext}")
    assert template.paths(asked, {(1, 0): ""}) == {(1, 0): "ep1/voice"}


def test_a_printable_name_has_one_line(tmp_path: Path) -> None:
    assert names.printable("ep1\n\udcff.mp3") == "ep1\\n\\udcff.mp3"
    assert names.printable(str(tmp_path)) == str(tmp_path)
