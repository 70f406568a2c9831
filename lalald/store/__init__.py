"""The database: one SQLite file in the state folder. No other package contains SQL.

`store.Store` is the daemon's side, run by `store_thread.StoreThread` off the event loop; `queries.Reports` and `request_writer.Requests`
are the command line's and the page's. `schema/` has the migrations, `events/` what notifications are made of, `page/` what the page
stores. Names are loaded on first use: the command line needs neither the daemon's side nor an event loop.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lalald.store.file_types import FailedFile, KnownFile, NewFile, SkipReason
    from lalald.store.store import Store
    from lalald.store.store_thread import StoreThread

__all__ = ["FailedFile", "KnownFile", "NewFile", "SkipReason", "Store", "StoreThread"]

_HOMES = {
    "FailedFile": "file_types",
    "NewFile": "file_types",
    "KnownFile": "file_types",
    "SkipReason": "file_types",
    "Store": "store",
    "StoreThread": "store_thread",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
