"""Detectors side by side, as a table."""

from __future__ import annotations

import pyarrow as pa

from leaderboard.export.table import Export, Marks
from leaderboard.selectors.compare import Comparison

_NUMBER, _TEXT = pa.float64(), pa.string()
SCHEMA = pa.schema(
    [
        ("checkpoint", _TEXT),
        ("generator", _TEXT),
        ("generator_name", _TEXT),
        ("release_date", pa.date32()),
        ("window", pa.int16()),
        ("detector", _TEXT),
        ("name", _TEXT),
        ("value", _NUMBER),
        ("low", _NUMBER),
        ("high", _NUMBER),
        ("difference", _NUMBER),
        ("difference_low", _NUMBER),
        ("difference_high", _NUMBER),
        ("p_value", _NUMBER),
        ("differs", pa.bool_()),
    ]
)


def compared(marks: Marks, found: Comparison) -> Export:
    """A row for each ``checkpoint`` (``contact``: of the first contact, ``newest``), generator and detector.

    Differences are from the first detector, which has none; ``differs``: the test of a pair tells the two
    apart, although it is one of many (Holm).
    """
    rows = []
    for checkpoint in ("contact", "newest"):
        for row in found.rows:
            g = row.generator
            for detector, cell in zip(found.detectors, getattr(row, checkpoint), strict=True):
                estimate, other = cell.estimate, cell.difference
                rows.append(
                    (
                        *(checkpoint, g.slug, g.name, g.release_date, g.window),
                        *(str(detector.submission.pk), detector.submission.name),
                        *(estimate.value, estimate.low, estimate.high),
                        *((other.value, other.low, other.high) if other else (None, None, None)),
                        *((other.p_value, other.differs) if other else (None, None)),
                    )
                )
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return Export("compare", marks, SCHEMA, [pa.record_batch(arrays, schema=SCHEMA)])
