"""For every test of intake."""

from __future__ import annotations

import pytest

from lalald.inbox.readiness import ignore_broken_leases


@pytest.fixture(autouse=True)
def _no_sigio() -> None:
    ignore_broken_leases()
