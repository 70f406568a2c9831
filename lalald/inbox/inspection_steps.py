"""The functions that an inspection is made of. The tests hand in other ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lalald.archive.error_note import remove_if_moved
from lalald.config import Inbox
from lalald.filesystem import files
from lalald.inbox import explanation, reconcile
from lalald.inbox.explanation import Choice
from lalald.inbox.reconcile import MatchedFile, ReconcileStore, Reconciliation
from lalald.jobs.job import Job
from lalald.media.inspections import Inspections

Reconcile = Callable[[ReconcileStore, Inbox, Iterable[MatchedFile], Sequence[str], str, float], Reconciliation]


@dataclass(frozen=True, slots=True)
class InspectionSteps:
    """An exception in any of them concerns only the file that it was called for."""

    refusal: Callable[[Inbox, str], str | None] = explanation.refusal
    folder_refusal: Callable[[Inbox, str], str | None] = explanation.folder_refusal
    choose: Callable[[Inbox, str], Choice] = explanation.choose
    sha256: Callable[[str], str] = files.sha256_of
    reconcile: Reconcile = reconcile.reconcile
    remove_if_moved: Callable[[Job], None] = remove_if_moved
    inspections: Inspections = field(default_factory=Inspections)
