"""The only part that speaks SQL: one SQLite file in the state folder, readable with `sqlite3` by a person.

`store.Store` is the daemon's side, `reports.Reports` the command line's, `thread.StoreThread` keeps the former off the event loop.
"""

from lalald.store.known import FailedFile, Found, Known
from lalald.store.store import Store
from lalald.store.thread import StoreThread

__all__ = ["FailedFile", "Found", "Known", "Store", "StoreThread"]
