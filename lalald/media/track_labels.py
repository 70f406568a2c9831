"""The tracks that each mode makes: type and label, known before the task has run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lalald.presets import MODES, MULTISTEM_STEMS, ONLY_STEM, STEMS

_OPTIONAL_LABELS = frozenset({"vocals@1", "mix_no_lead"})  # the document: suppressed if not found in the audio


def expected_labels(mode: str, presets: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(type, label) of each track that the service is to make; `vocals@1` may be missing where there are no backing vocals."""
    if mode == "change_voice":
        return (("back", "converted_mix"),)
    if mode == "multistem":
        entries = presets.get("stem_list")
        listed = [str(stem) for stem in entries] if isinstance(entries, list | tuple) else []
        return (*(("stem", stem) for stem in listed), ("back", "no_multistem"))
    stem = presets.get("stem", ONLY_STEM.get(mode))
    if presets.get("multivocal") and stem == "vocals":
        return (("stem", "vocals@0"), ("stem", "vocals@1"), ("back", "no_vocals"), ("back", "mix_no_lead"))
    return (("stem", str(stem)), ("back", f"no_{stem}")) if stem else ()


def possible_labels(mode: str | None) -> tuple[tuple[str, str], ...]:
    """(type, label) of each track that some presets of a mode make, or, without a mode, that some mode makes."""
    if mode is None:
        return tuple(dict.fromkeys(track for known in MODES for track in possible_labels(known)))
    if mode == "multistem":
        return expected_labels(mode, {"stem_list": MULTISTEM_STEMS})
    if mode != "stem_separator":
        return expected_labels(mode, {})
    choices = [{"stem": stem} for stem in STEMS] + [{"stem": "vocals", "multivocal": "lead_back"}]
    return tuple(dict.fromkeys(track for chosen in choices for track in expected_labels(mode, chosen)))


def required_labels(mode: str, presets: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(type, label) of each track without which a success is not complete."""
    return tuple((kind, label) for kind, label in expected_labels(mode, presets) if label not in _OPTIONAL_LABELS)


def known_labels() -> frozenset[str]:
    """Every label that some mode makes."""
    names = {"converted_mix", "no_multistem", "vocals@0", "vocals@1", "mix_no_lead"}
    for stem in (*STEMS, *ONLY_STEM.values()):
        names |= {stem, f"no_{stem}"}
    return frozenset(names)
