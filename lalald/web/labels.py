"""What the page calls stages, holds, events, modes and tracks: the words of the command line and of notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lalald.jobs.event_kinds import EventKind
from lalald.jobs.job_steps import DOING
from lalald.reports.hold_advice import WHY

_TRACKS = {
    "no_vocals": "Instrumental",
    "no_multistem": "Everything else",
    "mix_no_lead": "Without lead",
    "vocals@0": "Lead vocals",
    "vocals@1": "Backing vocals",
}


def labels() -> dict[str, dict[str, str]]:
    """By stage, hold and kind of event."""
    return {
        "stages": {str(stage): _capitalized(words) for stage, words in DOING.items()},
        "holds": {str(hold): words for hold, words in WHY.items()},
        "events": {str(kind): _capitalized(kind.replace(".", " ")) for kind in EventKind},
    }


def track_title(label: str) -> str:
    """A track of the service as people call it."""
    return _TRACKS.get(label) or _capitalized(label.replace("no_", "without_", 1) if label.startswith("no_") else label)


def task_title(name: str | None, mode: str, presets: Mapping[str, Any]) -> str:
    """The task's name, its mode and its presets: `Stem separator: stem vocals`."""
    listed = [f"{preset.replace('_', ' ')} {_shown(value)}" for preset, value in presets.items()]
    title = ": ".join([_capitalized(mode), *([", ".join(listed)] if listed else [])])
    return f"{name} ({title})" if name else title


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _capitalized(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
