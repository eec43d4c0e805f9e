"""The classifier that sees numbers about files, on columns as files really give them."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.data.shortcuts import Sample, telling

N = 60
LABELS = np.repeat([1, 0], N)
NOTHING = np.full(2 * N, np.nan)


@pytest.mark.parametrize("other", [NOTHING, np.full(2 * N, 64.0)])
def test_a_column_that_every_file_lacks_tells_nothing(other: np.ndarray) -> None:
    found = telling([Sample(LABELS, {"jpeg_quality": NOTHING, "width": other})])
    assert found is not None
    assert found.auroc == 0.5
    assert found.importance == {"jpeg_quality": 0.0, "width": 0.0}


def test_what_only_fakes_lack_tells_everything() -> None:
    quality = np.where(LABELS == 1, np.nan, 90.0)
    found = telling([Sample(LABELS, {"jpeg_quality": quality, "width": np.full(2 * N, 64.0)})])
    assert found is not None
    assert found.auroc == 1.0
    assert found.importance["jpeg_quality"] == 0.5
