"""What needs a person: one function for each code, which programs read; message and hint are for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lalald.errors import LalaldError
from lalald.filesystem.disk_errors import hint_for
from lalald.filesystem.names import printable, shell_quoted
from lalald.jobs.job import Job
from lalald.reports import hold_advice
from lalald.reports.formatting import ago, count, moment, price, service_trouble
from lalald.store import Store
from lalald.store.events.event_queue import Reader
from lalald.store.report_types import Fact, HoldReport
from lalald.store.rows import UnreadableJob
from lalald.store.tables.set_aside_files import SetAsideFile

if TYPE_CHECKING:
    from lalald.worker.holds.license_check import LicenseProblem

REJECTED_FACT = "config_rejected"
UNREADABLE_HINT = (
    "Its file is left where it is, nothing more is charged for it, and it is read again at the next start. "
    "Restore a backup of the state folder, or report it."
)
_REJECTED_HINT = (
    "The previous configuration is in use. Correct the file and reload; `lalald check-config` lists every error."
)
NOTIFY_FAILING_SECONDS = 900.0  # a shorter outage of a receiver needs no person
_MOST_NUMBERS = 20
_NO_REASON = "no reason is known"


class Attention(NamedTuple):
    """`subject`: the folder or step it is about, or empty. `hint`: what to do."""

    code: str
    subject: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class RejectedConfig:
    """Every error of a configuration that a reload has rejected, and when."""

    errors: Sequence[str]
    at: float


def save_rejected(store: Store, rejected: RejectedConfig | None, now: float) -> None:
    """Save the rejected reload for `status`, or forget the last one."""
    if rejected is None:
        store.state.forget(REJECTED_FACT)
    else:
        store.state.set(REJECTED_FACT, asdict(rejected), now)


def daemon_items(
    store_error: LalaldError | None, license_trouble: LicenseProblem | None, rejected: RejectedConfig | None
) -> Iterator[Attention]:
    """What the running daemon knows itself, whether or not it could be saved."""
    if store_error is not None:
        message = f"The state folder cannot be written: {store_error}"
        yield Attention("state_not_writable", "", message, store_error.hint)
    if license_trouble is not None:
        yield license_problem(license_trouble.code, license_trouble.reason, license_trouble.hint)
    if rejected is not None:
        yield config_rejected(rejected.errors)


def daemon_not_running() -> Attention:
    message = "lalald is not running, or does not respond."
    return Attention("daemon_not_running", "", message, "Start it: `lalald run`, or `systemctl start lalald`.")


def state_not_writable(error: OSError) -> Attention:
    message = f"The state folder cannot be written: {error.strerror}. Nothing is charged until it can be."
    return Attention("state_not_writable", "", message, hint_for(error))


def config_rejected(errors: Sequence[str]) -> Attention:
    message = f"The last reload was rejected: {_in_one_line(errors)}"
    return Attention("config_rejected", "", message, _REJECTED_HINT)


def _in_one_line(errors: Sequence[str]) -> str:
    """The file and the number of its errors, then each of them."""
    heading, *listed = map(str.strip, errors)
    return f"{heading}: {'; '.join(listed)}" if listed else heading


def config_error(error: str) -> Attention:
    hint = "lalald would not start with it; `lalald check-config` lists every error."
    return Attention("config_error", "", f"The configuration cannot be used: {error}", hint)


def license_problem(code: str, reason: str, hint: str) -> Attention:
    """`code`: `missing` or `refused`."""
    return Attention(f"license_{code}", "", f"No job can continue without an accepted license key: {reason}", hint)


def folder_unavailable(kind: str, path: str, reason: str) -> Attention:
    """`kind`: `inbox`, `outbox`, or `folder` for done and failed folders."""
    what = {"inbox": "inbox", "outbox": "outbox"}.get(kind, "folder for finished files")
    hint = f"Bring it back; its jobs resume. If it was replaced on purpose: `lalald release {shell_quoted(path)}`."
    return Attention(f"{kind}_unavailable", path, f"The {what} {printable(path)} is unavailable: {reason}", hint)


def files_unreadable(inbox: str, number: int, path: str, reason: str) -> Attention:
    """`path` and `reason`: of the first of them."""
    others = f" and {number - 1:,} more" if number > 1 else ""
    message = f"In the inbox {printable(inbox)}, {printable(path)}{others} cannot be read: {reason}"
    return Attention("unreadable_files", inbox, message, "Let lalald's user read it, or name it under `ignore`.")


def files_set_aside(files: Sequence[SetAsideFile]) -> Attention:
    first = files[0]
    message = f"{count(len(files), 'file')} could not be inspected; the first is {first.path}: {first.error}."
    hint = "`lalald rescan` inspects them again, `lalald explain PATH` shows why. Please report it with the traceback in the log."
    return Attention("files_set_aside", "", message, hint)


def jobs_unreadable(jobs: Sequence[UnreadableJob]) -> Attention:
    numbers = ", ".join(str(job.job_id) for job in jobs[:_MOST_NUMBERS]) + (" …" if len(jobs) > _MOST_NUMBERS else "")
    message = (
        f"{count(len(jobs), 'job')} cannot be read from the database: {numbers}. The first error is {jobs[0].error}."
    )
    return Attention("jobs_unreadable", "", message, UNREADABLE_HINT)


def step_stopped(stop: dict[str, Any]) -> Attention:
    since = moment(stop["since"])
    message = f"Step {stop['step']} is stopped since {since}: every job met the same error ({stop['error']})."
    hint = "One job tries it every 5 minutes. Please report this with the traceback in the log."
    return Attention("step_stopped", stop["step"], message, hint)


def service_down(service: Fact) -> Attention:
    message = f"The service does not answer as it should: {service_trouble(service)}"
    return Attention("service_down", "", message, "Check the network; jobs wait and resume automatically.")


def notify_entry(reader: Reader, now: float) -> Attention | None:
    """An entry of `notify` that does not work: after a quarter of an hour, or at once where something was dropped."""
    hint = "`lalald notify --test` tries it; the log says when it failed."
    if reader.trouble is not None and reader.failing_since is not None:
        is_command = reader.sent_at is not None and reader.sent_at >= reader.failing_since  # it ran
        if is_command or now - reader.failing_since >= NOTIFY_FAILING_SECONDS:
            message = f"The notify entry {reader.name} fails since {moment(reader.failing_since)}: {reader.trouble}"
            return Attention("notify_failing", reader.name, message, hint)
    if reader.dropped_at is not None and reader.dropped_at > (reader.sent_at or 0.0):
        when = ago(reader.dropped_at, now)
        events = count(reader.dropped, "event")
        message = (
            f"{events} could not be sent by the notify entry {reader.name}, the last {when}: {reader.dropped_reason}"
        )
        return Attention("notify_dropped", reader.name, message, hint)
    return None


def jobs_failed(number: int, latest: Job | None, now: float) -> Attention:
    hint = "`lalald jobs --failed` lists them; `lalald retry ID` resumes one, `lalald cancel ID` dismisses it."
    message = f"{count(number, 'job')} failed"
    if latest is not None:
        which = "" if number == 1 else "; the latest"
        when = ago(latest.updated_at, now)
        message += f"{which} {when}: #{latest.id} {printable(latest.path)}: {latest.error or _NO_REASON}"
    return Attention("jobs_failed", "", message, hint)


def jobs_held(hold: HoldReport) -> Attention:
    cost = f", {price(hold.minutes, hold.unknown)}" if hold.minutes or hold.unknown else ""
    message = f"{count(hold.jobs, 'job')} held ({hold.hold}{cost}): #{hold.job_id} {hold.reason or _NO_REASON}"
    code = "hold_stalled_task" if hold.is_stalled else f"hold_{hold.hold}"
    return Attention(code, "", message, hold_advice.of_hold(hold))
