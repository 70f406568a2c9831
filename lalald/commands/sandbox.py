"""`lalald sandbox`: a local stand-in for LALAL.AI."""

from __future__ import annotations

from lalald.sandbox.options import add_arguments
from lalald.sandbox.server import run

__all__ = ["add_arguments", "run"]
