"""Check what a rule delivers: the template of `output`, the selected tracks, their new names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from lalald.config.diagnostics import Diagnostics, Where
from lalald.config.model import PLACEHOLDERS, Rule
from lalald.filesystem.names import fold, safe_name
from lalald.media import track_labels
from lalald.media.tags.title_template import DEFAULT_TITLE, TITLE_PLACEHOLDERS
from lalald.suggestions import did_you_mean, quoted, unknown

Track = tuple[str, str]  # type and label
TYPES = ("stem", "back")
_NAMING = ("mode", "presets", "tasks", "output", "tracks", "labels")  # what the names of results follow from
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_OF_A_TRACK = re.compile(r"\{(label|type|task)\}")
_ENDING = re.compile(r"\.(\w{1,10})$")


def check_template(rule: Rule, where: Where, diagnostics: Diagnostics) -> None:
    """Report every error of `output` itself: it must name a file within the outbox."""
    if found := list(_template_errors(rule.output)):
        diagnostics.add_error(where, *found)
    else:
        _check_endings(rule, where, diagnostics)


def check_title(rule: Rule, where: Where, diagnostics: Diagnostics) -> None:
    """Report every error of `tag_title`; warn if all tracks would share a title, or if it has no effect."""
    if found := list(_placeholder_errors(rule.tag_title, TITLE_PLACEHOLDERS)):
        diagnostics.add_error(where, *found)
    elif not rule.tags and rule.tag_title != DEFAULT_TITLE:
        diagnostics.add_warning(where, "has no effect beside `tags: false`")
    elif not _OF_A_TRACK.search(rule.tag_title) and len(list(_delivered(rule))) > 1:
        diagnostics.add_warning(where, "has neither {label} nor {type} nor {task}: all tracks of a file get one title")


def _placeholder_errors(template: str, placeholders: Collection[str]) -> Iterator[str]:
    known = sorted(placeholders)
    printable = " ".join(f"{{{placeholder}}}" for placeholder in known)
    for name in dict.fromkeys(_PLACEHOLDER.findall(template)):
        if name not in placeholders:
            yield f"unknown placeholder {{{name}}} (known: {printable}){_meant(name, known)}"
    rest = _PLACEHOLDER.sub("x", template)
    if "{" in rest or "}" in rest:
        yield "a brace without its partner; placeholders look like {name}"


def _template_errors(template: str) -> Iterator[str]:
    yield from _placeholder_errors(template, PLACEHOLDERS)
    rest = _PLACEHOLDER.sub("x", template)
    if template.startswith(("/", "~")) or ".." in rest.split("/"):
        yield f"a path within the outbox is expected, without .. and without / at its start, got {quoted(template)}"
    if template.endswith("/") or not rest.strip("/. "):
        yield f"expected the name of a file after the last /, got {quoted(template)}"


def _meant(name: str, known: list[str]) -> str:
    return re.sub(r'"(\w+)"', r'"{\1}"', did_you_mean(name, known))


def _check_endings(rule: Rule, where: Where, diagnostics: Diagnostics) -> None:
    """Warn about extensions that are missing or wrong, and about names that all files share."""
    if "{ext}" not in rule.output:
        ending = _ENDING.search(_PLACEHOLDER.sub("x", rule.output))
        chosen = [task.presets.get("encoder_format") for task in rule.tasks]
        formats = {name if isinstance(name, str) else None for name in chosen}
        if ending is None:
            diagnostics.add_warning(where, "has no {ext}: results will have names without an extension")
        elif formats != {ending[1]}:
            diagnostics.add_warning(
                where, f"names every result .{ending[1]}, whatever its format; write {{ext}}, or set encoder_format"
            )
    if not re.search(r"\{(name|id)\}", rule.output):
        diagnostics.add_warning(where, "has neither {name} nor {id}: all files share their results' names")


class Delivered(NamedTuple):
    """A track that the rule delivers, and its path, without the parts that are the same for the whole job."""

    task: str
    label: str
    path: str
    ending: str | None


def check_tracks(rule: Rule, expected: Collection[Track], where: Where, diagnostics: Diagnostics) -> None:
    """Report unknown tracks and labels, and tracks that would share a name. `expected`: the tracks that the tasks make."""
    if expected and not rule.unchecked:
        _check_wanted(rule, sorted({label for _, label in expected}), (*where, "tracks"), diagnostics)
        _check_renamed(rule, {label for _, label in expected}, (*where, "labels"), diagnostics)
    _check_new_names(rule, (*where, "labels"), diagnostics)
    read = not any(diagnostics.has_error_within((*where, key)) for key in _NAMING)
    if read and not rule.unchecked:
        _check_sharing(rule, (*where, "output"), diagnostics)


def _check_wanted(rule: Rule, labels: list[str], where: Where, diagnostics: Diagnostics) -> None:
    originals = {new: old for old, new in rule.labels.items()}
    for place, wanted in enumerate(rule.tracks or ()):
        if wanted in (*labels, *TYPES) or diagnostics.has_error_at((*where, place)):
            continue
        if wanted in originals:
            words = f'{quoted(wanted)} is a name given by `labels`; write the original "{originals[wanted]}"'
            diagnostics.add_error((*where, place), words)
        else:
            diagnostics.add_error((*where, place), unknown("track", wanted, (*labels, *TYPES)))
    if rule.tracks == ():
        diagnostics.add_error(where, "an empty list would deliver nothing; leave the key out for all tracks")


def _check_renamed(rule: Rule, labels: set[str], where: Where, diagnostics: Diagnostics) -> None:
    for old in rule.labels:
        if old in labels:
            continue
        if old in track_labels.known_labels():
            diagnostics.add_warning((*where, old), f"has no effect: this rule makes {', '.join(sorted(labels))}")
        else:
            diagnostics.add_error((*where, old), unknown("label", old, sorted(labels)), blocks=False)


def _check_new_names(rule: Rule, where: Where, diagnostics: Diagnostics) -> None:
    given: dict[str, str] = {}
    for old, new in rule.labels.items():
        if "/" in new or new.strip() in (".", ".."):
            diagnostics.add_error((*where, old), f"expected the name of one file, without a slash, got {quoted(new)}")
        elif fold(safe_name(new)) in given:
            diagnostics.add_error(
                (*where, old), f"{quoted(new)} is the new name of {given[fold(safe_name(new))]} too; choose another"
            )
        given[fold(safe_name(new))] = old


def _check_sharing(rule: Rule, where: Where, diagnostics: Diagnostics) -> None:
    """Report the first two tracks whose results would share a name on a disk that ignores case."""
    seen: list[Delivered] = []
    for track in _delivered(rule):
        for other in seen:
            if other.path == track.path and (other.ending == track.ending or None in (other.ending, track.ending)):
                diagnostics.add_error(where, _shared(track, other))
                return
        seen.append(track)


def _shared(track: Delivered, other: Delivered) -> str:
    if track.task == other.task:
        return f"{other.label} and {track.label} would share a name; tell them apart with {{label}}"
    words = f"{other.label} of task {other.task} and {track.label} of task {track.task} would share a name"
    return f"{words}; tell them apart with {{task}}, such as {{dir}}/{{name}}/{{task}}/{{label}}.{{ext}}"


def delivered_labels(rule: Rule) -> list[str]:
    """The names of the tracks that a rule delivers, as far as they are known beforehand."""
    return [rule.labels.get(track.label, track.label) for track in _delivered(rule)]


def _delivered(rule: Rule) -> Iterator[Delivered]:
    for number, task in enumerate(rule.tasks, 1):
        for kind, label in track_labels.expected_labels(task.mode, task.presets):
            if rule.tracks is not None and label not in rule.tracks and kind not in rule.tracks:
                continue
            title = task.name or str(number)
            values = {
                "label": safe_name(rule.labels.get(label, label)),
                "type": kind,
                "task": safe_name(title),
                "mode": task.mode,
            }
            path = _PLACEHOLDER.sub(lambda found, values=values: values.get(found[1], found[0]), rule.output)  # type: ignore[misc]
            ending = task.presets.get("encoder_format") if "{ext}" in rule.output else ""
            yield Delivered(title, label, fold(path), ending if isinstance(ending, str) else None)
