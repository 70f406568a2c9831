"""What is wrong with a value, in plain words: the validation library's own are for programmers."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "literal_error": "must be {expected}",
    "json_invalid": "is not JSON: {error}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "value_error": "{error}",
}
_KINDS = {
    "float": "a number", "int": "a whole number", "string": "text", "bool": "true or false", "list": "a list",
    "dict": "an object", "model": "an object", "finite_number": "a number",
}  # fmt: skip


def told(error: ValidationError) -> str:
    """Every mistake, each with its place."""
    mistakes = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, mistake['loc'])) or 'the value'} {_words(mistake)}" for mistake in mistakes)


def _words(mistake: Any) -> str:
    kind, context = str(mistake["type"]), mistake.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    for name, words in _KINDS.items():
        if kind.startswith(f"{name}_"):
            return f"must be {words}"
    text = str(mistake["msg"])
    return f"must be{text.removeprefix('Input should be')}" if text.startswith("Input should be") else text
