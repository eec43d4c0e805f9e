"""Making dumps in the format of the official code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.protocols import reference

Arrays = dict[str, Any]


def official_dumps() -> dict[int, Arrays]:
    """The reference scores, a file a window, in the types that the official code stores."""
    expected, arrays = reference.period_metrics(), reference.period_scores()
    common = {
        "fused_generator_ids": arrays["generator_id"].astype(np.int64),
        "fused_identifiers": arrays["image_id"].astype(np.int64),
        "identifier": arrays["image_id"].astype(np.int64),
        "fused_labels": (arrays["generator_id"] > 0).astype(np.int64),
        "pairing": arrays["paired_generator_id"].astype(np.int64),
        "generator_id_to_name": np.array(expected["generator_id_to_name"]),
        "windows_timeline": np.array(expected["windows"]),
    }
    return {k: {**common, "fused_scores": scores[:, None]} for k, scores in enumerate(arrays["score"])}


def small_dumps() -> dict[int, Arrays]:
    """Three windows of two, one and one generators, one pair of images each; every detector is perfect."""
    generators = np.array([1, 2, 3, 4, 0, 0, 0, 0])
    common = {
        "fused_generator_ids": generators,
        "fused_identifiers": np.arange(8) + 100,
        "pairing": np.array([-1, -1, -1, -1, 1, 2, 3, 4]),
        "generator_id_to_name": np.array(["", "a", "b", "c", "d"]),
        "windows_timeline": np.array([["a", "b"], ["c", ""], ["d", ""]]),
        "fused_scores": np.where(generators > 0, 0.9, 0.1),
    }
    return {k: dict(common) for k in range(3)}


def write(folder: Path, dumps: dict[int, Arrays]) -> Path:
    for k, arrays in dumps.items():
        (folder / f"window_{k}").mkdir(parents=True)
        np.savez(folder / f"window_{k}" / "predictions_validate_all.npz", **arrays)
    return folder
