"""Write requests, which the daemon carries out when it is woken or starts next.

A request does not change a row's revision, so that the daemon can still save what it learns, such as task ids and charges.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Self

from lalald.jobs.job import RequestTerms
from lalald.jobs.states import Hold, Request, State
from lalald.store import database
from lalald.store.page import verdicts
from lalald.store.queries import Reports
from lalald.store.rows import stored_name


class Kind(StrEnum):
    """Requests to the daemon itself."""

    RESCAN = "rescan"  # argument: an inbox, or none for all
    REDO = "redo"  # argument: a job's id
    RELEASE_FOLDER = "release_folder"  # argument: an inbox or outbox whose folder is another one than before, and right
    CANCEL_EVERY_CLIENT = "cancel_every_client"
    MINUTES = "minutes"  # the service has other minutes left than the store says


FITTING: dict[Request, frozenset[State]] = {
    Request.CANCEL: frozenset({State.WAITING, State.HELD, State.FAILED}),  # a failed job is abandoned
    Request.RETRY: frozenset({State.FAILED, State.CANCELLED}),
    Request.RELEASE: frozenset({State.HELD}),
}


class Requests(Reports):
    """Queries and requests over one connection. Each request is a transaction of its own, or part of `together`."""

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Raises StoreError if there is no database; only the daemon creates or migrates one."""
        opened = super().open(state_dir)
        opened.connection.execute("PRAGMA query_only = 0")
        opened.connection.execute("PRAGMA synchronous = FULL")
        return opened

    @contextmanager
    def together(self) -> Iterator[None]:
        """A transaction: queries within see one state of the database, and requests are written all or not at all."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise database.translated(error, "the database", database.folder_of(self.connection)) from error
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def leave(self, request: Request, job_ids: Sequence[int]) -> None:
        """Leave a request in these jobs' rows; it replaces an earlier one that was not carried out yet."""
        self._replace("id IN (SELECT value FROM json_each(?))", (json.dumps(list(job_ids)),))
        self.connection.executemany(
            "UPDATE jobs SET request = ?, request_terms = NULL WHERE id = ?", [(request, job_id) for job_id in job_ids]
        )

    def leave_for(self, request: Request, terms: Mapping[int, RequestTerms]) -> None:
        """Leave a request in these jobs' rows with the terms that were shown; the daemon checks them before it acts."""
        states = ", ".join(f"'{state}'" for state in sorted(FITTING[request]))
        chosen = f"state IN ({states}) AND id IN (SELECT value FROM json_each(?))"
        self._replace(chosen, (json.dumps(list(terms)),))
        self.connection.executemany(
            f"UPDATE jobs SET request = ?, request_terms = ? WHERE id = ? AND state IN ({states})",
            [(request, seen.to_json(), job_id) for job_id, seen in terms.items()],
        )

    def leave_all(self, request: Request, *, states: Collection[State] = (), but: Collection[Hold] = ()) -> int:
        """Leave a request in the row of every job that it fits, or of those in `states`, except for some holds. Returns how many."""
        listed = ", ".join(f"'{State(state)}'" for state in sorted(states or FITTING[request]))
        holds = ", ".join(f"'{Hold(hold)}'" for hold in but)
        where = f"state IN ({listed}) AND coalesce(hold, '') NOT IN ({holds})"
        self._replace(where)
        return self.connection.execute(
            f"UPDATE jobs SET request = ?, request_terms = NULL WHERE {where}", (request,)
        ).rowcount

    def _replace(self, jobs: str, parameters: Sequence[object] = ()) -> None:
        """The page's requests in these rows get their answer."""
        verdicts.note_replaced(self.connection, jobs, parameters, time.time())

    def ask(
        self,
        kind: Kind,
        argument: str | None = None,
        *,
        seen: RequestTerms | None = None,
        now: Callable[[], float] = time.time,
    ) -> bool:
        """Queue a request for the daemon itself, with the terms that were shown. False if it is queued already."""
        stored = stored_name(argument)
        asked = self.connection.execute(
            "INSERT INTO requests (kind, argument, at, seen) SELECT ?, ?, ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM requests WHERE kind = ? AND argument IS ?)",
            (kind, stored, now(), seen and seen.to_json(), kind, stored),
        )
        return asked.rowcount == 1
