"""For each mode: its price, its tracks, and its presets in the answer of `/check/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lalald.sandbox.service.validation import AnyPresets, MultistemPresets, StemSeparatorPresets, VoiceChangePresets

TrackType = Literal["stem", "back"]


@dataclass(frozen=True, slots=True)
class Track:
    type: TrackType
    label: str


def stems_charged(presets: AnyPresets) -> int:
    """Multistem is charged for each of its stems, everything else once."""
    return len(presets.stem_list) if isinstance(presets, MultistemPresets) else 1


def tracks(presets: AnyPresets, *, backing_vocals: bool) -> list[Track]:
    """The tracks of a finished task; without `backing_vocals` there is no `vocals@1`."""
    if isinstance(presets, VoiceChangePresets):
        return [Track("back", "converted_mix")]
    if isinstance(presets, MultistemPresets):
        return [*(Track("stem", stem) for stem in presets.stem_list), Track("back", "no_multistem")]
    if isinstance(presets, StemSeparatorPresets) and presets.multivocal:
        vocals = ["vocals@0", "vocals@1"] if backing_vocals else ["vocals@0"]
        return [*(Track("stem", label) for label in vocals), Track("back", "no_vocals"), Track("back", "mix_no_lead")]
    return [Track("stem", presets.stem), Track("back", f"no_{presets.stem}")]


def presets_json(presets: AnyPresets) -> dict[str, Any]:
    """The presets with every default, and with the fields that name their kind."""
    if isinstance(presets, VoiceChangePresets):
        return {"task_type": "voice_convert", **presets.model_dump()}
    return {"task_type": "split", "label": presets.mode, "enhanced_processing_enabled": False, **presets.model_dump()}
