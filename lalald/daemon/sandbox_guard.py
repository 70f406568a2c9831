"""A state folder knows whose it is: the true service's, or that of a sandbox on this machine.

What a sandbox has carried must not be taken for true: its copies would be given as the earlier results of the same bytes, and paid
work would be asked for where nobody knows it.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from lalald.api.origin import api_origin
from lalald.errors import ConfigError, StoreRefusedError
from lalald.store import Store

_FACT = "service_url"
_HINT = "Name another one: `state_dir` or LALALD_STATE_DIR. A rehearsal wants an inbox and an outbox of its own, too."


def open_store(state_dir: Path, api_url: str) -> Store:
    """The store of a state folder that belongs to this service, or to none yet.

    Raises StoreError: it cannot be opened, or belongs to another kind of service.
    """
    store = Store.open(state_dir)
    try:
        _claim(store, state_dir, api_url)
    except BaseException:
        with closing(store):
            raise
    return store


def _claim(store: Store, state_dir: Path, api_url: str) -> None:
    known = store.fact(_FACT)
    if isinstance(known, str) and _is_sandbox(known) != _is_sandbox(api_url) and store.newest_id():
        raise StoreRefusedError(
            f"the state folder {state_dir} was used with {known}; it cannot be used with {api_url} too. Nothing was changed.",
            hint=_HINT,
        )
    if known != api_url:
        store.set_fact(_FACT, api_url, time.time())


def stay_with(api_url: str, other_url: str) -> None:
    """Raises ConfigError where a daemon that works with the one would go on with the other."""
    if _is_sandbox(api_url) != _is_sandbox(other_url):
        raise ConfigError(
            f"api_url: the state folder belongs to {api_url}, and is not used with {other_url}.", hint=_HINT
        )


def _is_sandbox(api_url: str) -> bool:
    """By its place: LALAL.AI is on no loopback."""
    origin, _ = api_origin(api_url)
    return origin.is_loopback
