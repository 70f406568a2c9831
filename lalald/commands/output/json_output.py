"""JSON for other programs: ASCII, numbers rounded to 3 places, and an object for every error."""

from __future__ import annotations

from typing import Any

from lalald.errors import LalaldError
from lalald.reports.json_text import as_json

__all__ = ["as_json", "error_facts", "show_json"]


def show_json(facts: Any) -> None:
    """Print on standard output."""
    print(as_json(facts))


def error_facts(error: LalaldError) -> dict[str, str | None]:
    """What `--json` prints instead of an answer."""
    return {"error": str(error), "hint": error.hint or None}
