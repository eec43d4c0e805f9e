"""Numbers about image files, by which the shortcut audit and a null row tell fakes; never a pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluator.data.jobs import Encoded


class Original(NamedTuple):
    """The file that an image came in as. Only what is JPEG has a quality."""

    width: int
    height: int
    size_bytes: int
    format: str
    jpeg_quality: int | None


def of_encoded(facts: Sequence[Encoded]) -> dict[str, NDArray[np.float64]]:
    """Columns [n] of what any encoded image tells."""
    width, height, size = np.array(facts, dtype=np.float64).reshape(-1, 3).T
    return {
        "width": width,
        "height": height,
        "aspect": width / height,
        "bytes": size,
        "bytes_per_pixel": size / (width * height),
    }


def of_originals(files: Sequence[Original], formats: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Columns [n] of what the originals tell, NaN where one is missing.

    A format is its place in ``formats``; one that is not there is missing.
    """
    places = {name: float(place) for place, name in enumerate(formats)}
    return of_encoded([Encoded(file.width, file.height, file.size_bytes) for file in files]) | {
        "format": _column(places.get(file.format) for file in files),
        "jpeg_quality": _column(file.jpeg_quality for file in files),
    }


def _column(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
