"""Suggest the known words that were probably meant by an unknown one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

SHOWN = 9

_INSTRUMENTAL = (
    "instrumental",
    "instrumentals",
    "karaoke",
    "accompaniment",
    "backing_track",
    "minus_one",
    "music",
    "no_vocals",
)
_VOICE = ("vocal", "voice", "vox", "singing", "singer", "acapella", "acappella", "a_cappella", "lead_vocals")
_REST = ("other", "others", "rest", "remainder", "residual")
_TO_STEM_SEPARATOR = (
    "karaoke vocal_remover remove_vocals instrumental vocals stem stems separate separator split splitter lead_back"
)
_TO_VOICE_CLEAN = "denoise denoiser noise noise_reduction noise_cancelling noise_cancellation clean cleanup dereverb speech_enhancement"

# noun → written word → the known words that are meant. Tried before similar spelling.
SYNONYMS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "mode": {
        **dict.fromkeys(_TO_STEM_SEPARATOR.split(), ("stem_separator",)),
        **dict.fromkeys(_TO_VOICE_CLEAN.split(), ("voice_clean",)),
        **dict.fromkeys(("remove_music", "music_remover", "music", "speech", "demusic"), ("demuser",)),
        **dict.fromkeys(("voice_changer", "voice_change", "voice", "convert", "voice_conversion", "clone"), ("change_voice",)),
        **dict.fromkeys(("multi", "all", "several"), ("multistem",)),
    },
    "stem": {
        **dict.fromkeys(("guitar", "guitars"), ("electric_guitar", "acoustic_guitar")),
        **dict.fromkeys(_VOICE, ("vocals",)),
        **dict.fromkeys(("drums", "percussion", "beat", "beats"), ("drum",)),
        **dict.fromkeys(("bass_guitar", "bassline"), ("bass",)),
        **dict.fromkeys(("keys", "keyboard", "keyboards"), ("piano",)),
        **dict.fromkeys(("synth", "synths", "pad", "pads"), ("synthesizer",)),
        **dict.fromkeys(("violin", "violins", "cello", "viola", "orchestra"), ("strings",)),
        **dict.fromkeys(("winds", "brass", "sax", "saxophone", "flute", "trumpet", "woodwind"), ("wind",)),
    },
    "track": {
        **dict.fromkeys(_INSTRUMENTAL, ("no_vocals", "no_multistem", "back")),
        **dict.fromkeys(_VOICE, ("vocals", "vocals@0", "voice")),
        **dict.fromkeys(("lead", "lead_vocals"), ("vocals@0",)),
        **dict.fromkeys(("backing", "backing_vocals", "back_vocals", "choir"), ("vocals@1",)),
        **dict.fromkeys(("clean", "cleaned", "speech"), ("voice",)),
        **dict.fromkeys(("noise",), ("no_voice",)),
        **dict.fromkeys(("drums",), ("drum",)),
        **dict.fromkeys(_REST, ("back",)),
    },
    "encoder_format": {
        **dict.fromkeys(("m4a", "mp4", "m4b", "aac_lc"), ("aac",)),
        **dict.fromkeys(("opus", "vorbis", "oga"), ("ogg",)),
        **dict.fromkeys(("wave", "pcm", "aiff", "aif", "w64"), ("wav",)),
        **dict.fromkeys(("alac", "lossless"), ("flac",)),
    },
    "level": {"warn": ("warning",), "critical": ("error",), "trace": ("debug",), "verbose": ("debug",)},
    "watch": {"inotify": ("native",), "events": ("native",), "poll": ("polling",)},
    "on_conflict": {"replace": ("overwrite",), "ignore": ("skip",), "number": ("rename",)},
    "existing": {"process": ("take",), "ignore": ("skip",), "all": ("take",)},
    "key": {
        **dict.fromkeys(("inbox", "folder", "input", "source", "watch_dir"), ("path",)),
        **dict.fromkeys(("output_dir", "destination", "target", "results"), ("outbox",)),
        **dict.fromkeys(("pattern", "patterns", "glob", "files"), ("match",)),
        **dict.fromkeys(("api_key", "key", "license_key", "licence_key"), ("license_key_file",)),
        **dict.fromkeys(("exclude", "skip"), ("ignore",)),
    },
    "preset": {
        **dict.fromkeys(("format", "output_format", "codec"), ("encoder_format",)),
        **dict.fromkeys(("stems",), ("stem_list", "stem")),
        **dict.fromkeys(("voice", "voice_pack", "voice_id"), ("voice_pack_id",)),
        **dict.fromkeys(("dereverb", "remove_reverb"), ("dereverb_enabled",)),
        **dict.fromkeys(("noise_level", "noise_cancelling", "denoise"), ("noise_cancelling_level",)),
        **dict.fromkeys(("model", "neural_network"), ("splitter",)),
        **dict.fromkeys(("lead_back", "backing_vocals"), ("multivocal",)),
    },
}  # fmt: skip
_LIKE = {"label": "track"}

# noun → written word → how to get what is meant, if one other word is not enough
ADVICE: Mapping[str, Mapping[str, str]] = {
    "stem": {
        **dict.fromkeys(
            _INSTRUMENTAL,
            "That is the track no_vocals, everything but the vocals: write mode: stem_separator with stem: vocals,"
            " and tracks: [no_vocals] in the rule",
        ),
        **dict.fromkeys(
            _REST, "What is left without a stem is a track of its own, such as no_drum of stem: drum; see `tracks`"
        ),
        **dict.fromkeys(
            ("all", "everything"),
            "Several stems at once are mode: multistem with stem_list: [vocals, drum, …]; each is charged",
        ),
        **dict.fromkeys(
            ("lead", "backing", "backing_vocals", "lead_back"),
            "Lead and backing vocals apart are stem: vocals with multivocal: lead_back",
        ),
        "noise": "Noise is removed by mode: voice_clean",
    },
    "mode": {
        **dict.fromkeys(
            ("karaoke", "vocal_remover", "remove_vocals", "instrumental"),
            "Without the vocals: mode: stem_separator, presets: {stem: vocals}, tracks: [no_vocals]",
        ),
        "lead_back": "Lead and backing vocals apart: mode: stem_separator, presets: {stem: vocals, multivocal: lead_back}",
    },
}


def unknown(noun: str, got: object, known: Iterable[str], *, kind: str = "") -> str:
    """`unknown stem "vocal" (known: vocals, drum, …). Did you mean "vocals"?`

    `kind`: the kind of word whose synonyms are used, if the noun is another.
    """
    names = list(known)
    printable = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"unknown {noun} {quoted(got)} (known: {printable}){did_you_mean(str(got), names, kind or noun)}"


def did_you_mean(got: str, known: Iterable[str], kind: str = "") -> str:
    """`. Did you mean "vocals"?`, or advice on that word; empty if no known word is similar."""
    advice = ADVICE.get(kind, {}).get(_plain(got))
    if advice:
        return f". {advice}"
    words = meant(got, known, kind)
    return f". Did you mean {' or '.join(map(quoted, words))}?" if words else ""


def meant(got: str, known: Iterable[str], kind: str = "") -> tuple[str, ...]:
    """The known words that were probably meant: synonyms of that `kind`, else the one with the most similar letters."""
    names = list(known)
    synonyms = SYNONYMS.get(_LIKE.get(kind, kind), {}).get(_plain(got), ())
    found = tuple(word for word in synonyms if word in names)
    if kind == "stem" and found:
        return found
    return found[:1] or _closest(got, names)


def _closest(got: str, known: list[str]) -> tuple[str, ...]:
    from difflib import get_close_matches

    plain = {_plain(word): word for word in reversed(known)}
    close = get_close_matches(_plain(got)[:100], plain, n=1, cutoff=0.6)
    return tuple(plain[word] for word in close)


def _plain(word: str) -> str:
    return word.strip().casefold().replace("-", "_").replace(" ", "_")


def quoted(value: object) -> str:
    """A value as its writer would recognize it, on one line and not too long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + _shortened("".join(char if char.isprintable() else " " for char in value)) + '"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return _shortened(str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
