"""Datasets as containers see them: Arrow files and two small JSON files for ``datasets.load_from_disk``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from evaluator.data.arrow import ArrowWriter
from evaluator.data.progress import Progress
from leaderboard.store import Store

FILE_ROWS = 16384
LABELS = ("real", "fake")

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TYPES = {
    "image": _IMAGE,
    "image_id": pa.string(),
    "label": pa.int64(),
    "generator": pa.string(),
    "window": pa.int64(),
}
# Written out instead of asking the `datasets` package: its spelling of a feature must not
# change under detectors that carry an older version.
_FEATURES: dict[str, dict[str, Any]] = {
    "image": {"_type": "Image"},
    "image_id": {"dtype": "string", "_type": "Value"},
    "label": {"names": list(LABELS), "_type": "ClassLabel"},
    "generator": {"dtype": "string", "_type": "Value"},
    "window": {"dtype": "int64", "_type": "Value"},
}


def write_files(
    store: Store,
    columns: Sequence[str],
    rows: Iterable[tuple[bytes, *tuple[Any, ...]]],
    n_rows: int,
    progress: Progress,
) -> list[str]:
    """Write ``rows`` (first the PNG, then a value for each other column) and return the files' keys.

    Every file has ``FILE_ROWS`` rows, the last one what is left: a file's name and length tell
    nothing about what is in it.
    """
    schema = pa.schema([(column, _TYPES[column]) for column in columns])
    keys = []
    iterator = iter(rows)
    for start in range(0, n_rows, FILE_ROWS):
        with ArrowWriter(store, schema) as file:
            for row in range(start, min(start + FILE_ROWS, n_rows)):
                png, *others = next(iterator)
                file.write(({"bytes": png, "path": None}, *others), len(png))
                progress(row / n_rows, "writing shards")
            keys.append(file.finish())
    return keys


def dataset_info(columns: Sequence[str]) -> dict[str, Any]:
    """The content of ``dataset_info.json``: the features and nothing else."""
    return {"features": {column: _FEATURES[column] for column in columns}}


def dataset_state(file_names: Sequence[str], fingerprint: str) -> dict[str, Any]:
    """The content of ``state.json``. Caches go by ``fingerprint``: other images need another one."""
    return {
        "_data_files": [{"filename": name} for name in file_names],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
