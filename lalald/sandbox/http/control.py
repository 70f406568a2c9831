"""The sandbox's own controls, under `/sandbox/`, without a key: show its state, and change what happens next."""

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
from lalald.sandbox.sandbox_state import SandboxState
from lalald.sandbox.service import answers
from lalald.sandbox.service.wording import describe_errors

Json = dict[str, Any]


class Outcome(BaseModel):
    """The outcome of a task: `stuck` at `percent` (0: in the queue) lasts until another outcome is set."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["success", "error", "cancelled", "stuck"]
    detail: str = "Unable to detect voice/vocals in the uploaded files"
    code: str | None = "inference_error"
    percent: Annotated[int, Field(ge=0, le=99)] = 40


async def describe(sandbox: SandboxState, *, requests: bool = True) -> Json:
    """The whole state of the sandbox, as JSON."""
    await sandbox.hash_sources()
    accounts, journal, now = sandbox.accounts, sandbox.journal, sandbox.clock()
    return {
        "now": now,
        "minutes_left": accounts.least_minutes_left,
        "accounts": accounts.minutes_left,
        "keys": sorted(accounts.keys),
        "sources": [answers.source_line(source) for source in accounts.sources],
        "tasks": [answers.task_line(task, now) for task in accounts.tasks],
        "charges": [answers.charge_line(charge.task, charge.at) for charge in accounts.charges],
        "durations": sandbox.durations.stated,
        "counts": dict(journal.counts),
        "most_at_once": dict(journal.most_at_once),
        "faults": sandbox.faults.lines(),
        "requests": journal.lines() if requests else [],
    }


def decide(sandbox: SandboxState, task_id: str, outcome: Outcome) -> Json:
    """Set a task's outcome. Raises KeyError if there is no such task."""
    account, now = sandbox.accounts.owner_of(task_id), sandbox.clock()
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


def set_minutes(sandbox: SandboxState, minutes: float) -> Json:
    sandbox.accounts.set_minutes(minutes)
    return {"minutes_left": minutes}


def set_durations(sandbox: SandboxState, durations: dict[str, int]) -> Json:
    """Set the duration of later uploads, by pattern of the name. Replaces earlier ones."""
    sandbox.durations.replace(durations)
    return {"durations": sandbox.durations.stated}


def set_keys(sandbox: SandboxState, keys: list[str]) -> Json:
    """Accept only these keys from now on; none: accept every key."""
    sandbox.accounts.keys = frozenset(keys)
    return {"keys": sorted(keys)}


def advance(sandbox: SandboxState, seconds: float) -> Json:
    """Advance the sandbox's clock."""
    sandbox.clock.advance(seconds)
    sandbox.delete_expired_files()
    return {"now": sandbox.clock()}


def set_faults(sandbox: SandboxState, faults: list[Any]) -> Json:
    """Inject these faults from now on, and no others. If one is invalid, raise BadFaultError and keep the earlier ones."""
    sandbox.faults.replace([fault(given) for given in faults])
    return {"faults": sandbox.faults.lines()}


@dataclass(frozen=True, slots=True)
class Setting:
    """A control with one JSON value."""

    kind: TypeAdapter[Any]
    act: Callable[[SandboxState, Any], Json]


SETTINGS = {
    "faults": Setting(TypeAdapter(list[str | Json]), set_faults),
    "minutes": Setting(TypeAdapter(Annotated[float, Field(ge=0)]), set_minutes),
    "durations": Setting(TypeAdapter(dict[str, int]), set_durations),
    "keys": Setting(TypeAdapter(list[str]), set_keys),
    "clock": Setting(TypeAdapter(Annotated[float, Field(ge=0)]), advance),
}
OUTCOME = TypeAdapter(Outcome)
SECONDS = TypeAdapter(Annotated[float, Field(gt=0, le=3600)])
GoDown = Callable[[float], Coroutine[Any, Any, None]]
Respond = Callable[[Request], Awaitable[JSONResponse]]


def routes(sandbox: SandboxState, go_down: GoDown) -> list[Route]:
    """The routes of the controls."""

    async def show_state(request: Request) -> JSONResponse:
        return JSONResponse(await describe(sandbox, requests=request.query_params.get("requests") != "0"))

    async def clear_faults(_: Request) -> JSONResponse:
        return JSONResponse(set_faults(sandbox, []))

    async def set_outcome(request: Request) -> JSONResponse:
        outcome = await _value(request, OUTCOME)
        try:
            return JSONResponse(decide(sandbox, request.path_params["task_id"], outcome))
        except KeyError:
            raise HTTPException(404, "no such task") from None

    async def start_outage(request: Request) -> Response:
        seconds = await _value(request, SECONDS)
        return JSONResponse({"down_seconds": seconds}, background=BackgroundTask(go_down, seconds))

    settings = [
        Route(f"/sandbox/{name}", _setting(sandbox, setting), methods=["POST"]) for name, setting in SETTINGS.items()
    ]
    return [
        Route("/sandbox/state", show_state, methods=["GET"]),
        Route("/sandbox/faults", clear_faults, methods=["DELETE"]),
        Route("/sandbox/tasks/{task_id}", set_outcome, methods=["POST"]),
        Route("/sandbox/outage", start_outage, methods=["POST"]),
        *settings,
    ]


def _setting(sandbox: SandboxState, setting: Setting) -> Respond:
    async def respond(request: Request) -> JSONResponse:
        try:
            return JSONResponse(setting.act(sandbox, await _value(request, setting.kind)))
        except BadFaultError as error:
            raise HTTPException(422, str(error)) from None

    return respond


async def _value(request: Request, kind: TypeAdapter[Any]) -> Any:
    try:
        return kind.validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, describe_errors(error)) from None
