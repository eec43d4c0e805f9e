"""The page names what the code computes, under the names that the code uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from protocols.metrics import Metrics
from protocols.periods import MECHANISMS

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Metrics)])
def test_every_metric_is_defined(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize(("period", "mechanism"), list(MECHANISMS.items()))
def test_every_period_has_its_row(period: str, mechanism: str) -> None:
    assert f"| {period.title()} | `{mechanism}` |" in PAGE
