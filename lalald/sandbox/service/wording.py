"""Validation errors in plain words."""

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


def describe_errors(error: ValidationError) -> str:
    """Every error with its location."""
    errors_found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, found['loc'])) or 'the value'} {_words(found)}" for found in errors_found)


def _words(found: Any) -> str:
    kind, context = str(found["type"]), found.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    for name, words in _KINDS.items():
        if kind.startswith(f"{name}_"):
            return f"must be {words}"
    text = str(found["msg"])
    return f"must be{text.removeprefix('Input should be')}" if text.startswith("Input should be") else text
