"""What intake does with a file, step by step: one function each. Another table may be handed in, with other functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lalald import files
from lalald.config import Inbox
from lalald.inbox import explain
from lalald.inbox.accounts import Account, Books, Chosen, settle_accounts
from lalald.inbox.explain import Choice
from lalald.inspections import Inspections
from lalald.jobs import Job
from lalald.stages.archive import came_back

Reconcile = Callable[[Books, Inbox, Iterable[Chosen], Sequence[str], str, float], Account]


@dataclass(frozen=True, slots=True)
class InspectionSteps:
    """An exception in any of them is the fault of the file that it was called for."""

    refusal: Callable[[Inbox, str], str | None] = explain.refusal
    folder_refusal: Callable[[Inbox, str], str | None] = explain.folder_refusal
    choose: Callable[[Inbox, str], Choice] = explain.choose
    sha256: Callable[[str], str] = files.sha256_of
    reconcile: Reconcile = settle_accounts
    came_back: Callable[[Job], None] = came_back
    inspections: Inspections = field(default_factory=Inspections)
