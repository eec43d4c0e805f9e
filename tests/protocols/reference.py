"""The outputs of the official code that exactness is tested against."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.embedded import SHARED

REFERENCE = SHARED / "reference"


@functools.cache
def window_plan() -> dict[str, Any]:
    return json.loads((REFERENCE / "window_plan.json").read_text())


@functools.cache
def period_metrics() -> dict[str, Any]:
    return json.loads((REFERENCE / "period_metrics.json").read_text())


@functools.cache
def period_scores() -> dict[str, NDArray[Any]]:
    with np.load(REFERENCE / "period_metrics.npz") as arrays:
        return dict(arrays)
