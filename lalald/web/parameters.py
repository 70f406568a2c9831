"""Read and check the parameters in a request's URL and body. Everything here raises RequestError."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request

from lalald.web.responses import RequestError, not_found

MOST_JOBS = 5000
_LARGEST_ID = 2**63 - 1


def job_number(request: Request) -> int:
    """The job of an address."""
    return _path_number(request, "job_id")


def track_number(request: Request) -> int:
    return _path_number(request, "number")


def _path_number(request: Request, name: str) -> int:
    word = request.path_params[name]
    if not (word.isascii() and word.isdigit()) or len(word) > 19 or int(word) > _LARGEST_ID:
        raise not_found()
    return int(word)


def text(request: Request, name: str) -> str | None:
    """A parameter of the address; empty counts as not given."""
    return request.query_params.get(name) or None


def required(request: Request, name: str) -> str:
    found = text(request, name)
    if found is None:
        raise RequestError(400, f"The parameter {name} is missing.")
    return found


def number(request: Request, name: str, default: int | None, *, least: int = 0, most: int = _LARGEST_ID) -> int | None:
    word = text(request, name)
    if word is None:
        return default
    if not (word.isascii() and word.isdigit()) or len(word) > 19 or not least <= int(word) <= most:
        raise RequestError(400, f"The parameter {name} must be a number from {least} to {most}.")
    return int(word)


def amount(request: Request, name: str) -> float | None:
    """A number of 0 or more, with decimals."""
    word = text(request, name)
    if word is None:
        return None
    try:
        found = float(word)
    except ValueError:
        found = -1.0
    if not 0.0 <= found < 1e15:
        raise RequestError(400, f"The parameter {name} must be a number of 0 or more.")
    return found


def one_of(request: Request, name: str, known: Sequence[str], default: str | None = None) -> str | None:
    word = text(request, name)
    if word is None:
        return default
    if word not in known:
        raise RequestError(400, f"The parameter {name} must be one of {', '.join(known)}.")
    return word


def some_of(request: Request, name: str, known: Sequence[str]) -> frozenset[str]:
    """Words separated by commas."""
    words = frozenset((text(request, name) or "").split(",")) - {""}
    if not words <= set(known):
        raise RequestError(400, f"The parameter {name} takes {', '.join(known)}, with commas between them.")
    return words


def day(request: Request, name: str) -> tuple[float, float] | None:
    """The beginning and end of a local day."""
    word = text(request, name)
    if word is None:
        return None
    try:
        first = date.fromisoformat(word)
        begin, end = (
            time.mktime((one.year, one.month, one.day, 0, 0, 0, 0, 0, -1)) for one in (first, first + timedelta(days=1))
        )
    except (ValueError, OverflowError):
        raise RequestError(400, f"The parameter {name} must be a day such as 2026-11-28.") from None
    return begin, end


def field(body: Mapping[str, Any], name: str, kind: type | tuple[type, ...], *, required: bool = True) -> Any:
    """A key of a JSON body. A boolean does not count as a number."""
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RequestError(400, f"The body lacks {name}, or it is of the wrong kind.")
    return value


def ids(body: Mapping[str, Any]) -> list[int]:
    """The jobs of a body, each once."""
    found = field(body, "ids", list)
    if len(found) > MOST_JOBS:
        raise RequestError(422, f"At most {MOST_JOBS:,} jobs at once.")
    if not all(isinstance(one, int) and not isinstance(one, bool) and 0 < one <= _LARGEST_ID for one in found):
        raise RequestError(400, "The body's ids must be numbers of jobs.")
    return list(dict.fromkeys(found))
