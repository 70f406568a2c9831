"""The fourteen operations with JSON bodies: what each does after its key and body are accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lalald.sandbox.faults.faults import TASK_KINDS, TRACK_KINDS, Fault
from lalald.sandbox.sandbox_state import SandboxState
from lalald.sandbox.service import answers
from lalald.sandbox.service.service import GONE, Account, RefusalError
from lalald.sandbox.service.tasks import Task
from lalald.sandbox.service.validation import (
    BatchRequest,
    CancelRequest,
    CheckRequest,
    DeleteRequest,
    DemuserPresets,
    MultistemPresets,
    SplitRequest,
    StemSeparatorPresets,
    VoiceChangePresets,
    VoiceCleanPresets,
    read,
    text,
)

Json = dict[str, Any]
Perform = Callable[[SandboxState, Account, Any], Json]
LEGAL_PACKS = ("ALEX_KAYE", "STASIA_FAYE", "NICOLAAS_HAAS", "NIK_ZEL", "OLIA_CHEBO", "YVAR_DE_GROOT", "VETRANA")
OWN_PACK = {
    "name": "Sandbox Narrator",
    "pack_id": "f5dc9452-9374-4418-9288-02825bbd0016",
    "created": 1672531199,
    "ready_to_use": True,
}
ITEM_ERROR = frozenset({"item_error"})
SERVER_ERROR = frozenset({"server_error"})
NO_BATCH = "Batch processing is not available for your license."


@dataclass(frozen=True, slots=True)
class JsonOperation:
    """`operation`: its name in faults. `model`: its body; None if it has none."""

    path: str
    operation: str
    perform: Perform
    model: Any = None
    body_name: str | None = None

    @property
    def place(self) -> list[str]:
        """The prefix of locations in errors."""
        return ["body", self.body_name] if self.body_name else ["body"]

    def read(self, body: bytes) -> Any:
        return None if self.model is None else read(self.model, body, self.place)


def split(sandbox: SandboxState, account: Account, request: Any) -> Json:
    return {"task_id": _start_task(sandbox, account, request, "split").id}


def change_voice(sandbox: SandboxState, account: Account, request: Any) -> Json:
    if request.presets.voice_pack_id not in (*LEGAL_PACKS, OWN_PACK["pack_id"]):
        raise RefusalError(400, "Voice pack not found.")
    return {"task_id": _start_task(sandbox, account, request, "change_voice").id}


def batch(sandbox: SandboxState, account: Account, request: Any) -> Json:
    if sandbox.options.batch == "refused":
        raise RefusalError(400, NO_BATCH, "batch_not_avaliable")
    return {"results": [_batch_item(sandbox, account, item) for item in request.items]}


def _batch_item(sandbox: SandboxState, account: Account, item: Any) -> Json:
    source_id = str(item.source_id)
    try:
        if sandbox.options.batch == "per-item":
            raise RefusalError(400, NO_BATCH, "batch_not_avaliable")
        _apply_item_fault(sandbox, account, source_id)
        return {"status": "success", "task_id": _start_task(sandbox, account, item, "batch").id, "source_id": source_id}
    except RefusalError as refusal:
        # a code is required, and the document has none for a source that does not exist
        return {
            "status": "error",
            "error": refusal.detail,
            "code": refusal.code or "internal_error",
            "source_id": source_id,
        }


def _apply_item_fault(sandbox: SandboxState, account: Account, source_id: str) -> None:
    source = account.sources.get(source_id)
    active = sandbox.faults.take("batch", [source.name] if source else [], ITEM_ERROR)
    if active is not None:
        raise RefusalError(400, active.fault.detail or "Internal error.", active.fault.code or "internal_error")


def _start_task(sandbox: SandboxState, account: Account, request: Any, operation: str) -> Task:
    task, is_new = account.start(str(request.source_id), request.presets, text(request.idempotency_key))
    active = sandbox.faults.take(operation, [task.source.name], TASK_KINDS) if is_new else None
    if active is not None:
        _apply_task_fault(account, task, active.fault)
    return task


def _apply_task_fault(account: Account, task: Task, fault: Fault) -> None:
    if fault.kind == "stuck":
        task.stuck_at_percent = fault.percent
    else:
        detail = fault.detail or "Unable to detect voice/vocals in the uploaded files"
        task.failure = account.failure(detail, fault.code or "inference_error")


def check(sandbox: SandboxState, account: Account, request: Any) -> Json:
    account.count_check()
    tasks = {str(task_id): account.known_task(str(task_id)) for task_id in request.task_ids}
    now, backing_vocals = sandbox.clock(), sandbox.options.backing_vocals
    result = {
        task_id: answers.check_item(task, now, backing_vocals=backing_vocals, link=sandbox.link)
        for task_id, task in tasks.items()
    }
    _apply_track_fault(sandbox, tasks, result)
    _apply_item_errors(sandbox, "check", tasks, result)
    return {"result": result}


def _apply_track_fault(sandbox: SandboxState, tasks: dict[str, Task | None], result: Json) -> None:
    finished = {task_id: task for task_id, task in tasks.items() if task and "result" in result[task_id]}
    if not finished:
        return
    active = sandbox.faults.take("check", [task.source.name for task in finished.values()], TRACK_KINDS)
    if active is None:
        return
    for task_id, task in finished.items():
        if active.fault.match is None or active.fault.match in task.source.name:
            _change_tracks(active.fault, result[task_id]["result"]["tracks"])


def _change_tracks(fault: Fault, tracks: list[Json]) -> None:
    for track in tracks[:]:
        if fault.only is not None and track["label"] != fault.only:
            continue
        if fault.kind == "lost_track":
            tracks.remove(track)
        elif fault.kind == "size":
            track["size"] += fault.extra_bytes
        elif fault.kind == "http_link":
            track["url"] = fault.url or "http" + track["url"][track["url"].index("://") :]
        else:
            track.update(fault.track)


def _apply_item_errors(sandbox: SandboxState, operation: str, tasks: dict[str, Task | None], result: Json) -> None:
    names = [task.source.name for task in tasks.values() if task]
    active = sandbox.faults.take(operation, names, SERVER_ERROR)
    if active is None:
        return
    for task_id, task in tasks.items():
        if active.fault.match is None or (task and active.fault.match in task.source.name):
            result[task_id] = answers.server_error(active.fault.detail or f"['{GONE}']")


def cancel(sandbox: SandboxState, account: Account, request: Any) -> Json:
    ids = [str(task_id) for task_id in request.task_ids]
    tasks = {task_id: account.tasks.get(task_id) for task_id in ids}
    result: Json = {}
    _apply_item_errors(sandbox, "cancel", tasks, result)
    for task_id in ids:
        if task_id not in result:
            refused = account.cancel(task_id)
            result[task_id] = answers.server_error(refused) if refused else {"status": "success"}
    return {"result": result}


def cancel_all(_sandbox: SandboxState, account: Account, _: None) -> Json:
    return {"result": {task_id: {"status": "success"} for task_id in account.cancel_all()}}


def delete(sandbox: SandboxState, account: Account, request: Any) -> Json:
    account.delete(str(request.source_id))
    sandbox.delete_expired_files()
    return {}


def minutes_left(_sandbox: SandboxState, account: Account, _: None) -> Json:
    return {"minutes_left": account.minutes_left}


def voice_packs(_sandbox: SandboxState, _account: Account, _: None) -> Json:
    return {"packs": [OWN_PACK]}


JSON_OPERATIONS = (
    JsonOperation("split/stem_separator", "split", split, SplitRequest[StemSeparatorPresets], "split_input"),
    JsonOperation("split/multistem", "split", split, SplitRequest[MultistemPresets], "split_input"),
    JsonOperation("split/demuser", "split", split, SplitRequest[DemuserPresets], "split_input"),
    JsonOperation("split/voice_clean", "split", split, SplitRequest[VoiceCleanPresets], "split_input"),
    JsonOperation("split/batch/stem_separator", "batch", batch, BatchRequest[StemSeparatorPresets]),
    JsonOperation("split/batch/demuser", "batch", batch, BatchRequest[DemuserPresets]),
    JsonOperation("split/batch/voice_clean", "batch", batch, BatchRequest[VoiceCleanPresets]),
    JsonOperation("change_voice", "change_voice", change_voice, SplitRequest[VoiceChangePresets]),
    JsonOperation("check", "check", check, CheckRequest),
    JsonOperation("cancel", "cancel", cancel, CancelRequest),
    JsonOperation("cancel/all", "cancel_all", cancel_all),
    JsonOperation("delete", "delete", delete, DeleteRequest),
    JsonOperation("limits/minutes_left", "minutes", minutes_left),
    JsonOperation("voice_packs/list", "voices", voice_packs),
)
