"""What needs a person: each item has a code for programs, and words for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from lalald.filesystem.disk_errors import hint_for
from lalald.filesystem.names import printable, shell_quoted
from lalald.store import Store
from lalald.store.rows import UnreadableJob

if TYPE_CHECKING:
    from lalald.worker.holds.license_check import LicenseTrouble
    from lalald.worker.worker import Worker

REJECTED_FACT = "config_rejected"
_MOST_NUMBERS = 20
REJECTED_HINT = (
    "The previous configuration is in use. Correct the file and reload; `lalald check-config` lists every error."
)

UNREADABLE_HINT = (
    "Its file is left where it is, nothing more is charged for it, and it is read again at the next start. "
    "Restore a backup of the state folder, or report it."
)


class Attention(NamedTuple):
    """`subject`: the folder it is about, or nothing. `hint`: what to do."""

    code: str
    subject: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class RejectedConfig:
    """Every error of a configuration that a reload has rejected, and when."""

    errors: Sequence[str]
    at: float


def note_rejected(store: Store, rejected: RejectedConfig | None, now: float) -> None:
    if rejected is None:
        store.forget_fact(REJECTED_FACT)
    else:
        store.set_fact(REJECTED_FACT, asdict(rejected), now)


def of_rejected(errors: Sequence[str]) -> Attention:
    return Attention(
        "config_rejected", "", "The last reload was rejected: " + " ".join(map(str.strip, errors)), REJECTED_HINT
    )


def of_license(code: str, reason: str, hint: str) -> Attention:
    return Attention(f"license_{code}", "", f"No job can continue without an accepted license key: {reason}", hint)


def of_folder(kind: str, path: str, reason: str) -> Attention:
    """`kind`: `inbox`, `outbox`, or `folder` for done and failed folders."""
    what = {"inbox": "inbox", "outbox": "outbox"}.get(kind, "folder for finished files")
    hint = f"Bring it back; its jobs resume. If it was replaced on purpose: `lalald release {shell_quoted(path)}`."
    return Attention(f"{kind}_unavailable", path, f"The {what} {printable(path)} is unavailable: {reason}", hint)


def of_unreadable(inbox: str, count: int, path: str, reason: str) -> Attention:
    others = f" and {count - 1:,} more" if count > 1 else ""
    message = f"In the inbox {printable(inbox)}, {printable(path)}{others} cannot be read: {reason}"
    return Attention("unreadable_files", inbox, message, "Let lalald's user read it, or name it under `ignore`.")


def of_unreadable_jobs(jobs: Sequence[UnreadableJob]) -> Attention:
    numbers = ", ".join(str(job.job_id) for job in jobs[:_MOST_NUMBERS]) + (" …" if len(jobs) > _MOST_NUMBERS else "")
    what = "1 job" if len(jobs) == 1 else f"{len(jobs):,} jobs"
    message = f"{what} cannot be read from the database: {numbers}. The first error is {jobs[0].error}."
    return Attention("jobs_unreadable", "", message, UNREADABLE_HINT)


def of_state_folder(error: OSError) -> Attention:
    message = f"The state folder cannot be written: {error.strerror}. Nothing is charged until it can be."
    return Attention("state_not_writable", "", message, hint_for(error))


def of_the_daemon(worker: Worker, rejected: RejectedConfig | None) -> list[Attention]:
    """What the running daemon knows, even where it could not write it down."""
    found = []
    if (trouble := worker.context.store.trouble) is not None:
        found.append(
            Attention("state_not_writable", "", f"The state folder cannot be written: {trouble}", trouble.hint)
        )
    license_trouble: LicenseTrouble | None = worker.holds.license.trouble
    if license_trouble is not None:
        found.append(of_license(license_trouble.code, license_trouble.reason, license_trouble.hint))
    if rejected is not None:
        found.append(of_rejected(rejected.errors))
    return found
