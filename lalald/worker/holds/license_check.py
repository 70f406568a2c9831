"""Whether the service accepts the license key. While it does not, hold every job that needs the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

from lalald.config import Config
from lalald.config.license_key import FoundKey, LicenseKey, find_key
from lalald.config.secrets.secret_search import SecretFile, found_on, unanswered
from lalald.errors import LicenseMissingError, LicenseRefusedError, ServiceError
from lalald.filesystem.mount_pools import MountPools
from lalald.jobs.event_kinds import EventKind
from lalald.jobs.states import Hold
from lalald.stages.context import StageContext
from lalald.store import Store
from lalald.worker.wakeups import Wakeups

FACT = "license"
_EVENTS = {"missing": EventKind.LICENSE_MISSING, "refused": EventKind.LICENSE_REFUSED}
_READ_SECONDS = 2.0  # for the key file, which may be on a network share


@dataclass(frozen=True, slots=True)
class LicenseProblem:
    """Why no request can be sent. `since`: seconds since 1970."""

    code: Literal["missing", "refused"]
    reason: str
    hint: str
    since: float


class KeyReader:
    """Reads the key on threads of its files' folders. A share that never answers delays nothing for longer than 2 s."""

    def __init__(self, disks: MountPools, environ: Mapping[str, str]) -> None:
        self._disks = disks
        self._environ = environ
        self._reading: asyncio.Task[FoundKey] | None = None
        self._file: SecretFile | None = None  # that is being read

    async def read(self, config: Config) -> FoundKey:
        """The key, or why there is none. A read that takes longer continues, and the next call returns its result."""
        if self._reading is None:
            search = find_key(config.license_key_file, self._environ)
            self._reading = asyncio.ensure_future(found_on(self._disks, search, self._note_file))
        reading = self._reading  # a reload may put another one in its place meanwhile
        done, _ = await asyncio.wait([reading], timeout=_READ_SECONDS)
        if not done and self._file is not None:
            error = unanswered(self._file, "")
            return FoundKey(None, problem=str(error), hint=error.hint)
        if self._reading is reading:
            self._reading = None
        return await reading

    def forget(self) -> None:
        """The configuration changed: what is still being read may be another file."""
        self._reading = None

    def _note_file(self, file: SecretFile) -> None:
        self._file = file


class LicenseCheck:
    """Tests the key with the simplest request; reads the key file while the key is missing or refused. Logs each change once."""

    def __init__(self, context: StageContext, wakeups: Wakeups) -> None:
        self._context = context
        self._wakeups = wakeups
        self.problem: LicenseProblem | None = None
        self.unanswered_reason: str | None = None  # why the last question had no answer
        self._is_unconfirmed = False  # there is a new key that the service has not accepted yet

    @property
    def is_settled(self) -> bool:
        """Whether the key is accepted, as far as is known."""
        return self.problem is None and not self._is_unconfirmed

    async def is_refused(self, error: LicenseRefusedError | None = None) -> bool | None:
        """Whether the key is missing, or the simplest request is refused, too; then every job is held.

        None if unknown: there was no answer, or `error` is the answer to a former key.
        """
        if self.problem is not None:
            return True
        if error is not None and error.sent_with not in (None, self._context.api.key):
            return None
        try:
            await self._context.budget.minutes_left(fresh_seconds=0.0)
        except LicenseRefusedError as error:
            await self._begin(error)
            await self.hold_jobs()
            return True
        except ServiceError:
            return None
        return False

    async def hold_jobs(self) -> None:
        """Hold every job that needs the service, including new ones."""
        now = self._context.clock.now()
        reason = self.problem.reason if self.problem else "the service refuses the license key"
        await self._context.store.run(lambda store: store.hold_all(Hold.LICENSE, reason, now))

    async def use_found_key(self, found: FoundKey, former: LicenseKey | None = None) -> None:
        """Use the key found at the start, or at a reload in place of the `former` one. Sends no request."""
        if found.key is None:
            await self._begin(LicenseMissingError(found.problem, hint=found.hint))
            await self.hold_jobs()
        elif self.problem is not None and found.key != former:
            await self._mark_unconfirmed()

    async def read_new_key(self) -> bool:
        """Read the key file while the key is missing or refused. Whether a new key was found, which is used from now on."""
        if self.problem is None:
            return False
        found = await self._context.read_key(self._context.config)
        if self.problem is None or not self._context.api.use_key(found):
            if self.problem is not None and self.problem.code == "missing" and found.key is None:
                await self._begin(LicenseMissingError(found.problem, hint=found.hint))  # for another reason, maybe
            return False
        self._context.log.info("license.key_changed", source=found.origin)
        self._context.budget.invalidate()
        await self._mark_unconfirmed()
        return True

    async def release_if_accepted(self) -> None:
        """Test the key with one request; if it is accepted, release all jobs that wait for it."""
        try:
            await self._context.budget.minutes_left(fresh_seconds=0.0)
        except LicenseRefusedError as error:
            self.unanswered_reason = None
            await self._begin(error)
            return
        except ServiceError as error:
            if self.unanswered_reason is None:
                self._context.log.warning("service.down", reason=str(error))
            self.unanswered_reason = str(error)
            self._context.changed.set()
            return
        self.unanswered_reason = None
        self._is_unconfirmed = False
        await self._set(None)
        now = self._context.clock.now()
        count = await self._context.store.run(lambda store: store.release_all(Hold.LICENSE, now))
        self._context.log.info("license.accepted", released_jobs=count)
        self._context.changed.set()
        self._wakeups.wake_all()

    async def _mark_unconfirmed(self) -> None:
        """There is a new key that has not been tested yet."""
        self._is_unconfirmed = True
        await self._set(None)

    async def _begin(self, error: LicenseRefusedError) -> None:
        code: Literal["missing", "refused"] = "missing" if isinstance(error, LicenseMissingError) else "refused"
        self._is_unconfirmed = False
        before = self.problem
        if before is None or before.code != code:
            self._context.log.error(f"license.{code}", reason=str(error), hint=error.hint)
            await self._set(LicenseProblem(code, str(error), error.hint, self._context.clock.now()))
        elif code == "missing" and before.reason != str(error):
            await self._set(replace(before, reason=str(error), hint=error.hint))

    async def _set(self, problem: LicenseProblem | None) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        self._context.changed.set()
        self._wakeups.holds.wake()
        now = self._context.clock.now()
        await self._context.store.run(_note, problem, now)


def _note(store: Store, problem: LicenseProblem | None, now: float) -> None:
    store.state.set(FACT, None if problem is None else asdict(problem), now)
    if problem is not None:  # that a key is accepted is known once the service has answered with it
        store.events.license_is(_EVENTS[problem.code], problem.reason, now)


ReadKey = Callable[[Config], Awaitable[FoundKey]]
