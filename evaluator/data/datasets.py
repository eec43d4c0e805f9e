"""The Arrow files of datasets in the store, cut so that a file tells nothing about what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaluator.data.arrow import ArrowWriter
from evaluator.data.progress import Progress
from leaderboard.store import Store
from sandbox.datasets import Row, schema_of, write_row

FILE_ROWS = 16384


def write_files(
    store: Store, columns: Sequence[str], rows: Iterable[Row], n_rows: int, progress: Progress
) -> list[str]:
    """Write ``rows`` and return the files' keys.

    Every file has ``FILE_ROWS`` rows, the last one what is left: a file's name and length tell
    nothing about what is in it.
    """
    schema = schema_of(columns)
    keys = []
    iterator = iter(rows)
    for start in range(0, n_rows, FILE_ROWS):
        with ArrowWriter(store, schema) as file:
            for row in range(start, min(start + FILE_ROWS, n_rows)):
                write_row(file, next(iterator))
                progress(row / n_rows, "writing shards")
            keys.append(file.finish())
    return keys
