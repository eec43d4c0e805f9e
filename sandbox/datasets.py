"""Datasets as containers see them: Arrow files and two small JSON files for ``datasets.load_from_disk``."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sandbox.arrow import MTIME_S, ArrowFile

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

# A row: first the PNG, then a value for each other column.
Row = tuple[bytes, *tuple[Any, ...]]


def schema_of(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([(column, _TYPES[column]) for column in columns])


def write_row(file: ArrowFile, row: Row) -> None:
    png, *others = row
    file.write(({"bytes": png, "path": None}, *others), len(png))


def file_names(n_files: int) -> list[str]:
    """What the Arrow files of a dataset are called."""
    return [f"data-{n:05d}-of-{n_files:05d}.arrow" for n in range(n_files)]


def describe(destination: Path, columns: Sequence[str], names: Sequence[str], *keys: str) -> None:
    """Make a folder of Arrow files a dataset, open to every reader. ``keys`` tell its images from others'."""
    fingerprint = hashlib.sha256("".join(keys).encode()).hexdigest()[:16]
    _write(destination / "dataset_info.json", dataset_info(columns))
    _write(destination / "state.json", dataset_state(names, fingerprint))
    destination.chmod(0o755)


def write_dataset(destination: Path, columns: Sequence[str], rows: Iterable[Row], key: str) -> None:
    """Write a small dataset, in one file, to ``destination``, which must not exist."""
    destination.mkdir(parents=True)
    (name,) = file_names(1)
    with ArrowFile(destination / name, schema_of(columns)) as file:
        for row in rows:
            write_row(file, row)
        file.complete().chmod(0o444)
    describe(destination, columns, [name], key)


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


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2))
    path.chmod(0o444)
    os.utime(path, (MTIME_S, MTIME_S))
