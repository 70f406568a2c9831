"""JSON for other programs: ASCII, numbers rounded to 3 places."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_PLACES = 3


def as_json(facts: Any, indent: int | None = 2) -> str:
    """Bytes of a name that are not UTF-8 become lone surrogates, `\\udcXX` for the byte XX."""
    return json.dumps(rounded(facts), indent=indent)


def rounded(value: Any) -> Any:
    """The same facts with every number rounded; one that JSON cannot express is null."""
    if isinstance(value, float):
        return round(value, _PLACES) + 0.0 if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value
