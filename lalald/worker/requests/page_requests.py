"""Check requests of the page again before they are handled: if the job or its price has changed, they are refused.

Each key acts once. Its verdict is written before the request is removed, so that a crash in between repeats nothing.
"""

from __future__ import annotations

from lalald.inbox.rematch import rematch_by_config
from lalald.jobs.job import Job, RequestTerms
from lalald.jobs.spending.consent import tasks_to_pay, tasks_to_pay_on_retry
from lalald.jobs.spending.shown_price import Change, Objection, objection_to, price_objection
from lalald.jobs.states import Request
from lalald.jobs.task import Task
from lalald.jobs.transitions import restart
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.store.page import verdicts


async def is_refused(job: Job, request: Request, context: StageContext) -> bool:
    """Whether a request of the page is refused; the reason is saved for the page. Requests of the command line are checked elsewhere."""
    seen = job.request_terms
    if seen is None or seen.key is None or request is Request.CANCEL:
        return False
    tasks = (
        tasks_to_pay(job)
        if request is Request.RELEASE
        else tasks_to_pay_on_retry(rematch_by_config(job, context.config))
    )
    return await _note(job, seen, objection_to(job, request, seen, tasks), str(request), context)


async def is_redo_refused(job: Job, seen: RequestTerms, context: StageContext) -> bool:
    """The same for a file that is to be processed again."""
    latest = await context.store.run(_latest_of_file, job)
    if seen.latest_id is not None and latest != seen.latest_id:
        objection: Objection | None = Objection(
            Change.CHARGED, f"This file has become job {latest} meanwhile; nothing was done."
        )
    else:
        objection = price_objection(job, seen, _tasks_of_redo(job, context))
    return await _note(job, seen, objection, "redo", context)


async def _note(job: Job, seen: RequestTerms, objection: Objection | None, request: str, context: StageContext) -> bool:
    """Whether the request is refused: it has a verdict already, or gets one now."""
    key, now = seen.key or "", context.clock.now()

    def write(store: Store) -> bool:
        if not verdicts.is_open(store.connection, key, job.id):
            return True
        if objection is not None:
            code, message = str(objection.code), objection.message
            verdicts.note_acted(store.connection, key, job.id, code=code, message=message, now=now)
        return objection is not None

    refused: bool = await context.store.run(write)
    if refused:
        reason = objection.message if objection else "it was acted on before"
        context.log.warning(f"{request}.refused", job=job.id, path=job.path, reason=reason)
    return refused


def _tasks_of_redo(job: Job, context: StageContext) -> tuple[Task, ...]:
    return rematch_by_config(restart(job), context.config).tasks


def _latest_of_file(store: Store, job: Job) -> int | None:
    return verdicts.latest_id(store.connection, job.id)
