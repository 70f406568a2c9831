"""What the page answers: JSON, and errors as `{"error", "hint", "code"}` with the right status."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from lalald.errors import LalaldError
from lalald.reports.json_text import as_json

LARGEST_JSON_BYTES = 4 << 20
_LARGEST_INTEGER = 2**63 - 1  # of the database
CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 422: "unprocessable"}


class RequestError(Exception):
    """A request that is refused. `code` is for programs, `message` and `hint` are for people."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or CODES.get(status, "internal")
        self.hint = hint
        self.headers = dict(headers or {})

    def answer(self) -> Response:
        facts = {"error": str(self), "hint": self.hint, "code": self.code}
        return json_answer(facts, status=self.status, headers=self.headers)


class PlainTextError(RequestError):
    """A refusal in plain text, for clients other than the page."""

    def answer(self) -> Response:
        text = f"{self}\n{self.hint}\n" if self.hint else f"{self}\n"
        return PlainTextResponse(text, self.status, headers={"Cache-Control": "no-store", **self.headers})


def json_answer(facts: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Numbers rounded to 3 places, never cached."""
    text = as_json(facts, indent=None)
    return Response(text, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def no_content(headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=204, headers={"Cache-Control": "no-store", **(headers or {})})


def refusal_of(error: LalaldError, status: int, code: str) -> RequestError:
    """An error of the program, as an answer."""
    return RequestError(status, str(error), code=code, hint=error.hint or None)


def not_found(message: str = "There is nothing here.") -> RequestError:
    return RequestError(404, message)


async def json_object(request: Request, most_bytes: int = LARGEST_JSON_BYTES) -> dict[str, Any]:
    """The body of a request. Raises RequestError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "The body must be JSON.", code="unprocessable", hint="Content-Type: application/json")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most_bytes:
                raise RequestError(413, f"The body has more than {most_bytes:,} bytes.")
    except ClientDisconnect:
        raise RequestError(400, "The request was cut off.") from None
    return _parsed(bytes(body))


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(
            body or b"{}", parse_constant=_refuse_constant, parse_int=_bounded_integer, parse_float=_finite_number
        )
    except (ValueError, RecursionError):
        raise RequestError(400, "The body is not JSON.") from None
    if not isinstance(found, dict):
        raise RequestError(400, "The body must be a JSON object.")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _bounded_integer(digits: str) -> int:
    if abs(number := int(digits)) > _LARGEST_INTEGER:
        raise ValueError(digits)
    return number


def _finite_number(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(digits)
    return number
