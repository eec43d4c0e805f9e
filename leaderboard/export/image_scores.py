"""The scores of single images, made so that none can be told from another that scored the same.

See ``docs/decisions/0013-scores-of-single-images.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from leaderboard.export.table import Export, Marks
from leaderboard.selectors.standing import ImageScores

DECIMALS = 3
REAL, FAKE = 0, 1
SCHEMA = pa.schema(
    [
        ("checkpoint", pa.int16()),
        ("generator", pa.string()),
        ("label", pa.int8()),
        ("score", pa.float64()),
    ]
)


def image_scores(name: str, marks: Marks, scores: Iterable[ImageScores]) -> Export:
    """A row for each checkpoint and image, without anything that names the image.

    Scores have three decimals and are sorted within their checkpoint, generator and label. So the
    order is made of the scores alone, and the images of one checkpoint can't be matched with those of
    another by their places, as after a shuffle that somebody undoes.
    """
    return Export(f"{name}_scores", marks, SCHEMA, _parts(scores))


def _parts(scores: Iterable[ImageScores]) -> Iterator[pa.RecordBatch]:
    for found in scores:
        # Adding zero leaves no -0.0 behind.
        values = [np.sort(np.round(of_label, DECIMALS) + 0.0) for of_label in (found.reals, found.fakes)]
        n = sum(map(len, values))
        yield pa.record_batch(
            [
                pa.repeat(pa.scalar(found.checkpoint, pa.int16()), n),
                pa.repeat(pa.scalar(found.generator.slug), n),
                pa.array(np.repeat([REAL, FAKE], [len(v) for v in values]), pa.int8()),
                pa.array(np.concatenate(values), from_pandas=True),
            ],
            schema=SCHEMA,
        )
