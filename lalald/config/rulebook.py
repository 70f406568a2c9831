"""The rules of an inbox as they are used: each with its name, and with its tasks written out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from lalald import presets
from lalald.config import checks, delivery, document, model
from lalald.config.mistakes import Findings, Where
from lalald.suggestions import quoted, unknown

_COPIED = (
    "match",
    "types",
    "output",
    "on_conflict",
    "duplicates",
    "tracks",
    "labels",
    "delete",
    "manifest",
    "unchecked",
)


def rules(sections: list[document.Rule] | None, where: Where, findings: Findings) -> list[model.Rule | None]:
    """The rules, None for those with mistakes."""
    if not sections:
        findings.mistake(where, "missing: at least one rule, which says what is done with the files")
    found = [
        _rule(section, name, (*where, place), findings)
        for place, (section, name) in enumerate(_named(sections or [], where, findings))
    ]
    checks.check_reach(found, where, findings)
    return found


def _named(sections: list[document.Rule], where: Where, findings: Findings) -> Iterator[tuple[document.Rule, str]]:
    """Each rule with its name; one without is called by its modes, and numbered where that name is taken."""
    written = [section.name for section in sections]
    taken = {name for name in written if name}
    for place, section in enumerate(sections):
        if section.name and section.name in written[:place]:
            words = f"{quoted(section.name)} is the name of an earlier rule; choose another"
            findings.mistake((*where, place, "name"), words)
        name = section.name or _free_name(_modes(section), taken)
        taken.add(name)
        yield section, name


def _free_name(wanted: str, taken: set[str]) -> str:
    numbered = (f"{wanted} {number}" for number in count(2))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)


def _modes(section: document.Rule) -> str:
    modes = [section.mode, *(task.mode for task in section.tasks or [])]
    return "+".join(dict.fromkeys(mode for mode in modes if mode)) or "rule"


def _rule(section: document.Rule, name: str, where: Where, findings: Findings) -> model.Rule | None:
    before = len(findings.mistakes)
    written = _written_tasks(section, where, findings)
    tasks = tuple(_task(task, here, findings, unchecked=section.unchecked) for task, here in written)
    rule = model.Rule(name=name, tasks=tasks, **{key: getattr(section, key) for key in _COPIED})
    checks.check_patterns(rule.match, (*where, "match"), findings)
    delivery.check_template(rule, (*where, "output"), findings)
    if len(findings.mistakes) > before:
        return None
    delivery.check_tracks(rule, where, findings)
    return rule


def _written_tasks(section: document.Rule, where: Where, findings: Findings) -> list[tuple[document.Task, Where]]:
    """The rule's tasks and where each stands: `mode` and `presets` of the rule itself are one."""
    if section.tasks is None:
        return [(document.Task(mode=section.mode, presets=section.presets), where)]
    if not section.tasks:
        findings.mistake((*where, "tasks"), "expected at least one task, got an empty list")
    for key in ("mode", "presets"):
        if getattr(section, key) is not None:
            findings.mistake((*where, key), "stands beside `tasks`; move it into one of the tasks")
    names = [task.name for task in section.tasks]
    for place, name in enumerate(names):
        if name and name in names[:place]:
            findings.mistake(
                (*where, "tasks", place, "name"), f"{quoted(name)} is the name of an earlier task; choose another"
            )
    return [(task, (*where, "tasks", place)) for place, task in enumerate(section.tasks)]


def _task(section: document.Task, where: Where, findings: Findings, *, unchecked: bool) -> model.TaskSpec:
    mode, written = section.mode or "", section.presets or {}
    if not mode:
        findings.mistake((*where, "mode"), f"missing: one of {', '.join(presets.MODES)}")
    elif mode not in presets.MODES:
        findings.mistake((*where, "mode"), unknown("mode", mode, presets.MODES))
    elif not unchecked:
        for found in presets.mistakes(mode, written):
            findings.mistake((*where, "presets", found.key), found.words)
        for found in presets.warnings(mode, written):
            findings.warn((*where, "presets", found.key), found.words)
    return model.TaskSpec(mode=mode, presets=presets.as_sent(mode, written, unchecked=unchecked), name=section.name)
