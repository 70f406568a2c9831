"""Signed links that expire: each gives access to one track, without a key."""

from __future__ import annotations

import hmac
from hashlib import sha256
from urllib.parse import quote


class Links:
    """Creates and checks links of the form `ORIGIN/<task id>/<expiry>-<signature>/<label>`."""

    def __init__(self, secret: bytes) -> None:
        self.origin = ""  # set once the port is known
        self._secret = secret

    def link(self, task_id: str, label: str, expires_at: float) -> str:
        expiry = str(int(expires_at))
        return f"{self.origin}/{task_id}/{expiry}-{self._signature(task_id, label, expiry)}/{quote(label, safe='')}"

    def expires_at(self, task_id: str, ticket: str, label: str) -> float | None:
        """When the link expires; None if its signature is wrong."""
        expiry, _, signature = ticket.partition("-")
        if not hmac.compare_digest(signature.encode(), self._signature(task_id, label, expiry).encode()):
            return None
        return float(expiry)

    def _signature(self, task_id: str, label: str, expiry: str) -> str:
        return hmac.new(self._secret, f"{task_id}/{label}/{expiry}".encode(), sha256).hexdigest()[:32]
