"""Close files apart from the event loop: for a file of a share, close(2) may wait for its server."""

from __future__ import annotations

import os
import threading


def close_apart(descriptor: int) -> None:
    """On a thread of its own: those of the folder may all be waiting, and others must not."""
    try:
        threading.Thread(target=os.close, args=(descriptor,), name="close", daemon=True).start()
    except RuntimeError:  # there is no further thread
        os.close(descriptor)
