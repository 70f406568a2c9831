"""Expand the rules of an inbox: each with a name and a list of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from lalald import presets
from lalald.config import model
from lalald.config.checks import consistency, outputs
from lalald.config.checks.outputs import Track
from lalald.config.diagnostics import Diagnostics, Where
from lalald.config.schema import file_schema
from lalald.media import track_labels
from lalald.suggestions import meant, quoted, unknown

_COPIED = (
    "match",
    "types",
    "output",
    "on_conflict",
    "duplicates",
    "tracks",
    "labels",
    "delete",
    "tags",
    "tag_title",
    "manifest",
    "unchecked",
)


def rules(sections: list[file_schema.Rule] | None, where: Where, diagnostics: Diagnostics) -> list[model.Rule]:
    """The rules, as far as they can be read."""
    if not sections:
        diagnostics.add_error(where, "missing: at least one rule, which says what is done with the files")
    found = [
        _rule(section, name, (*where, place), diagnostics)
        for place, (section, name) in enumerate(_named(sections or [], where, diagnostics))
    ]
    consistency.check_reach(found, where, diagnostics)
    return found


def _named(
    sections: list[file_schema.Rule], where: Where, diagnostics: Diagnostics
) -> Iterator[tuple[file_schema.Rule, str]]:
    """Each rule with its name; a rule without one gets its modes as a name, numbered if that exists."""
    written = [section.name for section in sections]
    used_names = {name for name in written if name}
    for place, section in enumerate(sections):
        if section.name and section.name in written[:place]:
            words = f"{quoted(section.name)} is the name of an earlier rule; choose another"
            diagnostics.add_error((*where, place, "name"), words)
        name = section.name or _free_name(_modes(section), used_names)
        used_names.add(name)
        yield section, name


def _free_name(wanted: str, used_names: set[str]) -> str:
    numbered = (f"{wanted} {number}" for number in count(2))
    return wanted if wanted not in used_names else next(name for name in numbered if name not in used_names)


def _modes(section: file_schema.Rule) -> str:
    modes = [section.mode, *(task.mode for task in section.tasks or [])]
    return "+".join(dict.fromkeys(mode for mode in modes if mode)) or "rule"


def _rule(section: file_schema.Rule, name: str, where: Where, diagnostics: Diagnostics) -> model.Rule:
    written = _written_tasks(section, where, diagnostics)
    tasks = tuple(_task(task, here, diagnostics, unchecked=section.unchecked) for task, here in written)
    rule = model.Rule(name=name, tasks=tasks, **{key: getattr(section, key) for key in _COPIED})
    consistency.check_patterns(rule.match, (*where, "match"), diagnostics)
    outputs.check_template(rule, (*where, "output"), diagnostics)
    outputs.check_title(rule, (*where, "tag_title"), diagnostics)
    outputs.check_tracks(rule, _tracks(rule, written, diagnostics), where, diagnostics)
    return rule


def _tracks(
    rule: model.Rule, written: Sequence[tuple[file_schema.Task, Where]], diagnostics: Diagnostics
) -> set[Track]:
    """The tracks that the tasks make; for a task with an error, all that it might make."""
    found: set[Track] = set()
    for task, (_, here) in zip(rule.tasks, written, strict=True):
        if diagnostics.has_error_at((*here, "mode")):
            found.update(track_labels.possible_labels(None))
        elif task.mode not in presets.MODES:
            found.update(track_labels.possible_labels(_meant_mode(task.mode)))
        elif diagnostics.has_error_within((*here, "presets")):
            found.update(track_labels.possible_labels(task.mode))
        else:
            found.update(track_labels.expected_labels(task.mode, task.presets))
    return found


def _meant_mode(mode: str) -> str | None:
    return next(iter(meant(mode, presets.MODES, "mode")), None)


def _written_tasks(
    section: file_schema.Rule, where: Where, diagnostics: Diagnostics
) -> list[tuple[file_schema.Task, Where]]:
    """The rule's tasks with their places in the file; `mode` and `presets` of the rule itself are one task."""
    if section.tasks is None:
        return [(file_schema.Task(mode=section.mode, presets=section.presets), where)]
    if not section.tasks:
        diagnostics.add_error((*where, "tasks"), "expected at least one task, got an empty list")
    for key in ("mode", "presets"):
        if getattr(section, key) is not None:
            diagnostics.add_error((*where, key), "is beside `tasks`; move it into one of the tasks")
    names = [task.name for task in section.tasks]
    for place, name in enumerate(names):
        if name and name in names[:place]:
            diagnostics.add_error(
                (*where, "tasks", place, "name"), f"{quoted(name)} is the name of an earlier task; choose another"
            )
    return [(task, (*where, "tasks", place)) for place, task in enumerate(section.tasks)]


def _check_presets(mode: str, written: Mapping[str, Any], where: Where, diagnostics: Diagnostics) -> None:
    """Check presets; those of a misspelled mode are checked as those of the mode that was probably meant."""
    judged = mode if mode in presets.MODES else _meant_mode(mode)
    for found in presets.mistakes(judged, written) if judged else presets.mistakes_in_any_mode(written):
        diagnostics.add_error((*where, found.key), found.words, blocks=False)
    for found in presets.warnings(judged, written) if judged else ():
        diagnostics.add_warning((*where, found.key), found.words)


def _task(section: file_schema.Task, where: Where, diagnostics: Diagnostics, *, unchecked: bool) -> model.TaskSpec:
    mode, written = section.mode or "", section.presets or {}
    if not mode:
        diagnostics.add_error((*where, "mode"), f"missing: one of {', '.join(presets.MODES)}")
    elif mode not in presets.MODES:
        diagnostics.add_error((*where, "mode"), unknown("mode", mode, presets.MODES), blocks=False)
    if not unchecked:
        _check_presets(mode, written, (*where, "presets"), diagnostics)
    return model.TaskSpec(mode=mode, presets=presets.as_sent(mode, written, unchecked=unchecked), name=section.name)
