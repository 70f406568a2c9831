"""The five modes and their presets: names, values, and rules that the service's public document states only in prose.

Presets are checked when the configuration is read, before a minute is spent. Presets that the service would ignore get a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lalald.suggestions import meant, quoted, unknown

MODES = ("stem_separator", "multistem", "demuser", "voice_clean", "change_voice")
BATCHABLE = frozenset({"stem_separator", "demuser", "voice_clean"})

SPLITTERS = ("andromeda", "perseus", "orion", "phoenix", "lyra", "lynx")
AUTO = "auto"  # the document's default, though not in its enum: said by leaving the field out
FORMATS = ("mp3", "wav", "flac", "aac", "ogg")
MULTISTEM_STEMS = ("vocals", "drum", "piano", "bass", "electric_guitar", "acoustic_guitar")
PHOENIX_STEMS = ("synthesizer", "strings", "wind")
STEMS = (*MULTISTEM_STEMS, *PHOENIX_STEMS)
VOICES = ("ALEX_KAYE", "STASIA_FAYE", "NICOLAAS_HAAS", "NIK_ZEL", "OLIA_CHEBO", "YVAR_DE_GROOT", "VETRANA")
ONLY_STEM = {"demuser": "music", "voice_clean": "voice"}


class Finding(NamedTuple):
    """Something about one preset; `key` is its name."""

    key: str
    words: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words or numbers."""

    values: tuple[str | int, ...]
    note: str
    optional: bool = False

    def error_in(self, noun: str, value: object) -> str | None:
        if value is None:
            return None if self.optional else f"expected one of {_listed(self.values)}, got nothing"
        if not isinstance(value, str | int) or isinstance(value, bool):
            return f"expected one of {_listed(self.values)}, got {quoted(value)}"
        if any(value == known and type(value) is type(known) for known in self.values):
            return None
        if isinstance(self.values[0], int):
            return f"expected one of {_listed(self.values)}, got {quoted(value)}"
        return unknown(noun, value, map(str, self.values))

    def schema(self) -> dict[str, Any]:
        return {"enum": [*self.values, *([None] if self.optional else [])], "description": self.note}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    note: str

    def error_in(self, noun: str, value: object) -> str | None:
        del noun
        return None if isinstance(value, bool) else f"expected true or false, got {quoted(value)}"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean", "description": self.note}


@dataclass(frozen=True, slots=True)
class Share:
    """A number from 0 to 1."""

    note: str

    def error_in(self, noun: str, value: object) -> str | None:
        del noun
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if number and 0 <= value <= 1 else f"expected a number from 0 to 1, got {quoted(value)}"  # type: ignore[operator]

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": 1, "description": self.note}


@dataclass(frozen=True, slots=True)
class Name:
    """Any text; some are known beforehand."""

    examples: tuple[str, ...]
    note: str

    def error_in(self, noun: str, value: object) -> str | None:
        del noun
        if isinstance(value, str) and value.strip():
            return None
        return f'expected a name such as {self.examples[0]} (all: "lalald voices"), got {quoted(value)}'

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "examples": list(self.examples), "description": self.note}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of different values."""

    values: tuple[str, ...]
    note: str

    def error_in(self, noun: str, value: object) -> str | None:
        if not isinstance(value, list | tuple) or not value:
            return f"expected a list of 1 to {len(self.values)} stems such as [vocals, drum], got {_empty_or(value)}"
        found = list(self._mistakes(noun, value))
        return "; ".join(found) or None

    def _mistakes(self, noun: str, entries: Sequence[object]) -> Iterator[str]:
        for place, entry in enumerate(entries):
            if not isinstance(entry, str) or entry not in self.values:
                yield unknown(noun.removesuffix("_list"), entry, self.values)
            elif entry in entries[:place]:
                yield f"{quoted(entry)} is listed twice, and would be charged twice: name each stem once"

    def schema(self) -> dict[str, Any]:
        items = {"enum": list(self.values)}
        return {
            "type": "array", "items": items, "minItems": 1, "maxItems": len(self.values), "uniqueItems": True,
            "description": self.note,
        }  # fmt: skip


Kind = Choice | Flag | Share | Name | Several

_SPLITTER = Choice((AUTO, *SPLITTERS), "The model that splits; auto (the default) is the latest for the stem.")
_DEREVERB = Flag("Removes echo; may slightly alter the voice. Only for a voice.")
_FORMAT = Choice(FORMATS, "Format of the results; default: that of the source.", optional=True)
_EXTRACTION = Choice(
    ("deep_extraction", "clear_cut"),
    "clear_cut: less bleeding between stems, fewer details; deep_extraction (the default): more of both. Not for andromeda.",
)
_SPLIT: Mapping[str, Kind] = {"splitter": _SPLITTER, "dereverb_enabled": _DEREVERB, "encoder_format": _FORMAT}

ACCEPTED: Mapping[str, Mapping[str, Kind]] = {
    "stem_separator": {
        "stem": Choice(STEMS, "The stem to take out; synthesizer, strings and wind only with phoenix or auto."),
        "multivocal": Choice(("lead_back",), "Lead and backing vocals apart; only for vocals.", optional=True),
        "extraction_level": _EXTRACTION,
        **_SPLIT,
    },
    "multistem": {
        "stem_list": Several(MULTISTEM_STEMS, "The stems to take out; each is charged."),
        "extraction_level": _EXTRACTION,
        **_SPLIT,
    },
    "demuser": {"stem": Choice(("music",), "Only music; may be left out."), **_SPLIT},
    "voice_clean": {
        "stem": Choice(("voice",), "Only voice; may be left out."),
        "noise_cancelling_level": Choice((0, 1, 2), "How much noise is removed; default 0."),
        **_SPLIT,
    },
    "change_voice": {
        "voice_pack_id": Name(VOICES, "A voice of the service, or the id of one of your own voice packs."),
        "accent": Share("0 keeps the accent of the source, 1 (the default) takes that of the voice pack."),
        "tonality_reference": Choice(("source_file", "voice_pack"), "Whose pitch counts; default source_file."),
        "dereverb_enabled": _DEREVERB,
        "encoder_format": _FORMAT,
    },
}
REQUIRED = {"stem_separator": "stem", "multistem": "stem_list", "change_voice": "voice_pack_id"}


def mistakes(mode: str, presets: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Why the service would refuse these presets of one of the `MODES`; empty if it would accept them.

    A misspelled preset is also checked as the one that was probably meant, so that one error does not hide another.
    """
    return tuple(_mistakes(mode, presets))


def _mistakes(mode: str, presets: Mapping[str, Any]) -> Iterator[Finding]:
    accepted = ACCEPTED[mode]
    understood: dict[str, Any] = {}
    for name, value in presets.items():
        known = _known_name(mode, name, presets)
        if name not in accepted:
            yield Finding(name, _no_such_preset(mode, name))
        if known and (words := accepted[known].error_in(known, value)):
            yield Finding(name, words)
        understood[known or name] = value
    required = REQUIRED.get(mode)
    if required and required not in understood:
        yield Finding(required, f"missing: {mode} needs it. {accepted[required].note}")
    yield from _prose_errors(mode, understood)


def _known_name(mode: str, name: str, presets: Mapping[str, Any]) -> str | None:
    """The preset, or the one that a misspelled name probably means; None if that is present as well, or belongs to another mode."""
    accepted = ACCEPTED[mode]
    if name in accepted:
        return name
    if any(name in ACCEPTED[other] for other in MODES):
        return None
    words = [word for word in meant(name, accepted, "preset") if word not in presets]
    return words[0] if words else None


def mistakes_in_any_mode(presets: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Presets that no mode accepts, for a mode that is not known."""
    found = []
    for name, value in presets.items():
        kinds = [ACCEPTED[mode][name] for mode in MODES if name in ACCEPTED[mode]]
        said = [kind.error_in(name, value) for kind in kinds]
        if not kinds:
            known = dict.fromkeys(known for mode in MODES for known in ACCEPTED[mode])
            found.append(Finding(name, unknown("preset", name, known)))
        elif (words := said[0]) and all(said):
            found.append(Finding(name, words))
    return tuple(found)


def _no_such_preset(mode: str, name: str) -> str:
    words = unknown(f"preset of {mode}", name, ACCEPTED[mode], kind="preset")
    homes = [other for other in MODES if name in ACCEPTED[other]]
    return (
        f"{words.removesuffix('?')}{'?' if words.endswith('?') else '.'} It belongs to {' and '.join(homes)}"
        if homes
        else words
    )


def _prose_errors(mode: str, presets: Mapping[str, Any]) -> Iterator[Finding]:
    stem, splitter = presets.get("stem"), presets.get("splitter", AUTO)
    if mode != "stem_separator" or stem not in STEMS:
        return
    if stem in PHOENIX_STEMS and splitter in SPLITTERS and splitter != "phoenix":
        yield Finding("splitter", f'the stem "{stem}" needs the splitter phoenix or auto, got {quoted(splitter)}')
    if presets.get("multivocal") and stem != "vocals":
        yield Finding("multivocal", f'works only with the stem "vocals", got the stem {quoted(stem)}')


def warnings(mode: str, presets: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Presets without effect. Presets with errors are not checked."""
    found = []
    if presets.get("dereverb_enabled") is True and not _has_a_voice(mode, presets):
        found.append(Finding("dereverb_enabled", "has no effect here: it works on the stems vocals and voice only"))
    if "extraction_level" in presets and presets.get("splitter") == "andromeda":
        found.append(Finding("extraction_level", "has no effect with the splitter andromeda"))
    return tuple(found)


def _has_a_voice(mode: str, presets: Mapping[str, Any]) -> bool:
    if mode == "stem_separator":
        return presets.get("stem") == "vocals"
    if mode == "multistem":
        return "vocals" in presets.get("stem_list", ())
    return mode in ("voice_clean", "change_voice")


def as_sent(mode: str, presets: Mapping[str, Any], *, unchecked: bool = False) -> dict[str, Any]:
    """The presets as sent: those of the user, with the only possible `stem` added, and without `splitter: auto`.

    `unchecked` presets are sent as they are, except for a missing stem.
    """
    sent = dict(presets)
    if mode in ONLY_STEM:
        sent.setdefault("stem", ONLY_STEM[mode])
    if sent.get("splitter") == AUTO and not unchecked:
        del sent["splitter"]
    return sent


def stems(mode: str, presets: Mapping[str, Any]) -> int:
    """How many times the source's duration is charged: once, but for each stem of multistem."""
    entries = presets.get("stem_list")
    return max(1, len(entries)) if mode == "multistem" and isinstance(entries, list | tuple) else 1


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _empty_or(value: object) -> str:
    return "an empty one" if value in ([], ()) else quoted(value)
