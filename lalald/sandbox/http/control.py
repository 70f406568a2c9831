"""The sandbox's own controls, under `/sandbox/`, without a key: what it knows, and what is to happen next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lalald.sandbox.faults.faults import BadFaultError, fault
from lalald.sandbox.sandbox_state import Rehearsal
from lalald.sandbox.service import answers
from lalald.sandbox.service.wording import told

Json = dict[str, Any]


class Outcome(BaseModel):
    """What a task comes to, now: `stuck` at `percent` (0: in the queue) until another outcome is told."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["success", "error", "cancelled", "stuck"]
    detail: str = "Unable to detect voice/vocals in the uploaded files"
    code: str | None = "inference_error"
    percent: Annotated[int, Field(ge=0, le=99)] = 40


async def state(rehearsal: Rehearsal, *, requests: bool = True) -> Json:
    """Everything that the sandbox knows, as JSON."""
    await rehearsal.hash_sources()
    accounts, journal, now = rehearsal.accounts, rehearsal.journal, rehearsal.clock()
    return {
        "now": now,
        "minutes_left": accounts.least_minutes_left,
        "accounts": accounts.minutes_left,
        "keys": sorted(accounts.keys),
        "sources": [answers.source_line(source) for source in accounts.sources],
        "tasks": [answers.task_line(task, now) for task in accounts.tasks],
        "charges": [answers.charge_line(charge.task, charge.at) for charge in accounts.charges],
        "durations": rehearsal.durations.stated,
        "counts": dict(journal.counts),
        "most_at_once": dict(journal.most_at_once),
        "faults": rehearsal.faults.lines(),
        "requests": journal.lines() if requests else [],
    }


def decide(rehearsal: Rehearsal, task_id: str, outcome: Outcome) -> Json:
    """Forces a task's outcome.

    Raises:
        KeyError: there is no such task.
    """
    account, now = rehearsal.accounts.owner_of(task_id), rehearsal.clock()
    if account is None:
        raise KeyError(task_id)
    task = account.tasks[task_id]
    if outcome.outcome == "stuck":
        task.stuck_at_percent, task.cancelled_at, task.failure = outcome.percent, None, None
    elif outcome.outcome == "cancelled":
        task.cancelled_at = now
    else:
        task.finish(now, account.failure(outcome.detail, outcome.code) if outcome.outcome == "error" else None)
    return answers.task_line(task, now)


def set_minutes(rehearsal: Rehearsal, minutes: float) -> Json:
    rehearsal.accounts.set_minutes(minutes)
    return {"minutes_left": minutes}


def set_durations(rehearsal: Rehearsal, durations: dict[str, int]) -> Json:
    """What uploads to come last, by pattern of the name. Only these from now on."""
    rehearsal.durations.state(durations)
    return {"durations": rehearsal.durations.stated}


def set_keys(rehearsal: Rehearsal, keys: list[str]) -> Json:
    """Only these are right from now on; none: every key is."""
    rehearsal.accounts.keys = frozenset(keys)
    return {"keys": sorted(keys)}


def advance(rehearsal: Rehearsal, seconds: float) -> Json:
    """Lets time pass at once."""
    rehearsal.clock.advance(seconds)
    rehearsal.forget_spent_files()
    return {"now": rehearsal.clock()}


def set_faults(rehearsal: Rehearsal, faults: list[Any]) -> Json:
    """Only these from now on.

    Raises:
        BadFaultError: one cannot be understood; the earlier ones stay.
    """
    rehearsal.faults.replace([fault(given) for given in faults])
    return {"faults": rehearsal.faults.lines()}


@dataclass(frozen=True, slots=True)
class Setting:
    """A control that takes one JSON value of a type."""

    kind: TypeAdapter[Any]
    act: Callable[[Rehearsal, Any], Json]


SETTINGS = {
    "faults": Setting(TypeAdapter(list[str | Json]), set_faults),
    "minutes": Setting(TypeAdapter(Annotated[float, Field(ge=0)]), set_minutes),
    "durations": Setting(TypeAdapter(dict[str, int]), set_durations),
    "keys": Setting(TypeAdapter(list[str]), set_keys),
    "clock": Setting(TypeAdapter(Annotated[float, Field(ge=0)]), advance),
}
OUTCOME = TypeAdapter(Outcome)
SECONDS = TypeAdapter(Annotated[float, Field(gt=0, le=3600)])
BeDown = Callable[[float], Coroutine[Any, Any, None]]
Respond = Callable[[Request], Awaitable[JSONResponse]]


def routes(rehearsal: Rehearsal, be_down: BeDown) -> list[Route]:
    """The routes of the controls."""

    async def printable(request: Request) -> JSONResponse:
        return JSONResponse(await state(rehearsal, requests=request.query_params.get("requests") != "0"))

    async def cleared(_: Request) -> JSONResponse:
        return JSONResponse(set_faults(rehearsal, []))

    async def decided(request: Request) -> JSONResponse:
        outcome = await _value(request, OUTCOME)
        try:
            return JSONResponse(decide(rehearsal, request.path_params["task_id"], outcome))
        except KeyError:
            raise HTTPException(404, "no such task") from None

    async def down(request: Request) -> Response:
        seconds = await _value(request, SECONDS)
        return JSONResponse({"down_seconds": seconds}, background=BackgroundTask(be_down, seconds))

    settings = [
        Route(f"/sandbox/{name}", _setting(rehearsal, setting), methods=["POST"]) for name, setting in SETTINGS.items()
    ]
    return [
        Route("/sandbox/state", printable, methods=["GET"]),
        Route("/sandbox/faults", cleared, methods=["DELETE"]),
        Route("/sandbox/tasks/{task_id}", decided, methods=["POST"]),
        Route("/sandbox/outage", down, methods=["POST"]),
        *settings,
    ]


def _setting(rehearsal: Rehearsal, setting: Setting) -> Respond:
    async def respond(request: Request) -> JSONResponse:
        try:
            return JSONResponse(setting.act(rehearsal, await _value(request, setting.kind)))
        except BadFaultError as error:
            raise HTTPException(422, str(error)) from None

    return respond


async def _value(request: Request, kind: TypeAdapter[Any]) -> Any:
    try:
        return kind.validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, told(error)) from None
