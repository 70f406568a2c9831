"""A state folder is used either with the live service or with a sandbox on this machine, never with both.

Otherwise results of the sandbox would be reused as results of the same bytes, and the live service would be asked about tasks that it
does not know.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from lalald.api.origin import api_origin
from lalald.errors import ConfigError, StoreRefusedError
from lalald.store import Store

_FACT = "service_url"
_HINT = "Choose another one: `state_dir` or LALALD_STATE_DIR. For a trial, use a separate inbox and outbox, too."


def open_store(state_dir: Path, api_url: str) -> Store:
    """Open the store of a state folder that was used with this kind of service, or with none yet.

    Raises StoreError if it cannot be opened, or was used with another kind of service.
    """
    store = Store.open(state_dir)
    try:
        _claim(store, state_dir, api_url)
    except BaseException:
        with closing(store):
            raise
    return store


def _claim(store: Store, state_dir: Path, api_url: str) -> None:
    known = store.state.get(_FACT)
    if isinstance(known, str) and _is_sandbox(known) != _is_sandbox(api_url) and store.history.newest_id():
        raise StoreRefusedError(
            f"the state folder {state_dir} was used with {known}; it cannot be used with {api_url} too. No change was made.",
            hint=_HINT,
        )
    if known != api_url:
        store.state.set(_FACT, api_url, time.time())


def refuse_other_kind(api_url: str, other_url: str) -> None:
    """Raise ConfigError if one is the live service and the other a sandbox."""
    if _is_sandbox(api_url) != _is_sandbox(other_url):
        raise ConfigError(
            f"api_url: the state folder is used with {api_url}; it cannot be used with {other_url} too.", hint=_HINT
        )


def _is_sandbox(api_url: str) -> bool:
    """A sandbox is on the loopback; LALAL.AI is not."""
    origin, _ = api_origin(api_url)
    return origin.is_loopback
