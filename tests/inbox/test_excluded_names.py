"""Files and folders that are excluded by their names."""

from __future__ import annotations

import pytest

from lalald.inbox.selection.excluded_names import refusal, refusal_of_path


@pytest.mark.parametrize(
    "name",
    [
        "a.mp3", "A.MP3", "partial", "tmp.wav", "a.part.mp3", "download.mp3", "#1 hit.mp3", "@home.flac", "a~.mp3", "a~",
        "Müller.mp3", "Mu\u0308ller.mp3", "new\nline.mp3", "it's \"quoted\".mp3", "x" * 251 + ".mp3", "\udcff\udcfe.mp3", " .mp3",
        "my.f1.race.wav", "song.f12.wav", "song.f137.wav", "song.f440.mp3", "lap.f1.mp4", "clip.f12.mp4", "clip.f99.m4a", "f137.mp4",
        "clip.f137", "clip.f137.mp4.wav", "clip.f137.remix.mp4", "track.final.mp4", "show.full.mp4", "ep.feat.m4a",
        "fhls-1080p.mp4", "clip-f137.mp4", "clip.g137.mp4", "song.temp.remix.wav", "temp.wav", "temperature.wav", "data.temp.csv",
        "found.wav", "found.000.wav", "trashbox.wav", "my @tmp", "RECYCLER.wav", "@tmp.wav", "aria2.wav", "a.aria2.wav", "part-frag1",
    ],
)  # fmt: skip
def test_ordinary_and_odd_names_are_accepted(name: str) -> None:
    assert refusal(name) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a.mp3.part", "temporary"), ("a.mp3.PARTIAL", "temporary"), ("a.tmp", "temporary"), ("a.mp3.crdownload", "temporary"),
        ("a.mp3.download", "temporary"), ("a.filepart", "temporary"), ("a.mp3.!qB", "temporary"), ("a.mp3.!sync", "temporary"),
        (".syncthing.a.mp3.tmp", "temporary"), ("~a.mp3", "temporary"), ("._a.mp3", "temporary"), (".~lock.a.mp3#", "temporary"),
        ("@eaDir", "a NAS"), ("@Recycle", "a NAS"), (".@__thumb", "a NAS"), ("#recycle", "a NAS"), ("#snapshot", "a NAS"),
        (".stfolder", "a NAS"), (".stversions", "a NAS"), ("Thumbs.db", "a NAS"), ("desktop.ini", "a NAS"), (".DS_Store", "a NAS"),
        ("lost+found", "a NAS"), ("System Volume Information", "a NAS"), (".a.mp3", "hidden"), (".hidden", "hidden"),
        ("$RECYCLE.BIN", "a NAS"), ("$Recycle.Bin", "a NAS"), ("@Recently-Snapshot", "a NAS"), ("RECYCLER", "a NAS"),
        ("RECYCLED", "a NAS"), (".Trash-1000", "a NAS"), (".Trash", "a NAS"), (".Trashes", "a NAS"), ("__MACOSX", "a NAS"),
        ("found.000", "a NAS"), ("FOUND.012", "a NAS"), ("trashbox", "a NAS"), ("Network Trash Folder", "a NAS"),
        ("Temporary Items", "a NAS"), ("@tmp", "a NAS"), ("@sharebin", "a NAS"), ("a.wav.aria2", "temporary"),
        ("a.mp4.ytdl", "temporary"), ("a.mp4.part-Frag12", "temporary"), ("clip.f137.mp4", "merge"), ("clip.f140.m4a", "merge"),
        ("CLIP.F251.WEBM", "merge"), ("clip.f251-drc.webm", "merge"), ("clip.f140-0.m4a", "merge"), ("a.b.f100026.mp4", "merge"),
        ("clip.f1234567890v.mp4", "merge"), ("clip.fhls-1080p.mp4", "merge"), ("clip.fdash-video-1.mp4", "merge"),
        ("clip.fhls-audio-128000-Audio.m4a", "merge"), ("two\nlines.f137.mp4", "merge"), ("clip.temp.mp4", "downloader"),
        ("clip.temp.OPUS", "downloader"), ("clip.f137.mp4.part", "temporary"),
        (".lalald", "lalald"), (".lalald-staging", "lalald"), (".lalald-3f-a.mp3.part", "lalald"),
    ],
)  # fmt: skip
def test_hidden_temporary_litter_and_own_names_are_excluded_with_a_reason(name: str, word: str) -> None:
    assert word in (refusal(name) or "")


def test_a_file_in_an_excluded_folder_is_excluded_and_the_folder_is_named() -> None:
    assert "@eaDir" in (refusal_of_path("a/@eaDir/b.mp3") or "")
    assert "hidden" in (refusal_of_path(".git/b.mp3") or "")
    assert refusal_of_path("a/b/c.mp3") is None
