"""The template of a result's title, `tag_title`: its placeholders and its default. Loaded by all that reads a configuration or a job."""

from __future__ import annotations

TITLE_PLACEHOLDERS = frozenset({"title", "label", "name", "type", "task", "rule", "mode"})
DEFAULT_TITLE = "{title} ({label})"
