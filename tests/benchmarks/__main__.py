"""Measure all figures, or those named, and print them as the table of tests/benchmarks/README.md."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.benchmarks import NAMES
from tests.benchmarks.figure import machine, table

if __name__ == "__main__":
    figures = []
    for name in sys.argv[1:] or NAMES:
        sys.stderr.write(f"{name} …\n")
        figures += import_module(f"tests.benchmarks.{name}").measure()
    sys.stdout.write(f"{machine()}\n\n{table(figures)}\n")
