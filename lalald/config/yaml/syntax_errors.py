"""Explain YAML syntax errors in plain words, with the likely remedy."""

from __future__ import annotations

import re

import yaml

from lalald.config.yaml.typography import invisible

_PLACEHOLDER = re.compile(r"(?:^|[:\-,\[]\s)\s*\{\w+\}")
_PLAINER = {
    "'<stream end>'": "the end of the file",
    "<stream end>": "the end of the file",
    "<block end>": "the end of the indented block",
    "'<scalar>'": "more text",
    "'<block mapping start>'": "an indented key",
    "the node content": "a value",
    "found unexpected end of stream": "the file ends within a quoted text",
    "mapping values are not allowed here": "a colon where no key can be",
}
OWN = "worded by lalald"  # marks errors with our own message
_NO_SPACE = re.compile(r"\s*(?:- )?\w+:[^\s/]|\s*(?:- )?[a-z_]+:/(?!/)")
_PATTERN = re.compile(r"(?:^|[:\-,\[])\s*[*&!%@`]")


def explained(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """The line, and one sentence with the likely remedy."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, f"not readable as YAML: the character U+{_code_point(error.character):04X} may not stand in it"
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, f"not readable as YAML: {error}"
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if "single document" in str(error.context):
        return line, "a second YAML document begins here; keep everything in one: remove the line ---"
    problem = " ".join(str(error.problem or error.context or "unexpected text").split())
    remedy = "" if error.note == OWN else _remedy(error, problem, text, line)
    return line, f"not readable as YAML: {_plainly(problem)}{remedy}"


def _plainly(problem: str) -> str:
    if "undefined alias" in problem:
        return "an alias (*…) that is not defined"  # its name may be a password
    for jargon, plain in _PLAINER.items():
        problem = problem.replace(jargon, plain)
    return problem


def _code_point(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")


def _remedy(error: yaml.MarkedYAMLError, problem: str, text: str, line: int) -> str:
    lines = text.split("\n")
    nearby = [lines[number - 1] for number in {line, *_context_lines(error)} if 0 < number <= len(lines)]
    if "\\t" in problem or any(re.match(r" *\t", one) for one in nearby):
        return ". Indent with spaces: YAML takes no tabs"
    if code := invisible(
        "".join([*nearby, *lines[max(0, line - 2) : line]])
    ):  # it may be noticed only on the next line
        return f". There is an invisible character ({code}) in the place of a space: type the line again"
    if any(_PLACEHOLDER.search(one) for one in nearby):
        return '. A value that begins with a brace needs quotes, such as output: "{dir}/{name}/{label}.{ext}"'
    if any(_PATTERN.search(one) for one in nearby):
        return '. A value that begins with one of * & ! % @ ` needs quotes, such as "*.wav"'
    if "escape" in problem:
        return ". Within double quotes a backslash begins an escape: write '…' instead, or two backslashes"
    if any(_NO_SPACE.match(one) for one in nearby):
        return ". Is a space missing after a colon?"
    if "mapping values are not allowed" in problem:
        return ". Is the indentation right, and is a value with a colon in quotes?"
    return ". Is a bracket or quote left open, or the indentation uneven?"


def _context_lines(error: yaml.MarkedYAMLError) -> list[int]:
    return [error.context_mark.line + 1] if error.context_mark else []
