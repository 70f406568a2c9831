"""Each benchmark is run once, small: what it measures then means nothing, but it cannot rot."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.benchmarks import NAMES
from tests.benchmarks.figure import as_text, table


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_prints_its_figures_beside_their_references(name: str) -> None:
    module = import_module(f"tests.benchmarks.{name}")

    figures = module.measure(**module.SMALL)

    assert figures
    for figure in figures:
        assert all(figure.cells())
    assert table(figures).count("\n") == 1 + len(figures)
    assert as_text(figures).count("measured") == len(figures)
