"""A picture of some images of a batch, so that people see at a glance what came in."""

from __future__ import annotations

import io
from contextlib import closing

from django.db.models import Value
from django.db.models.functions import MD5, Concat
from PIL import Image as Pillow

from evaluator.data.jobs import tile
from evaluator.data.pool import map_ordered
from evaluator.data.progress import Progress
from evaluator.data.shards import Shard
from leaderboard.models import Batch, Split
from leaderboard.store import store

COLUMNS, ROWS = 8, 6
TILE = 160
GAP = 4

_SEED = "contact sheet"
_BACKGROUND = (128, 128, 128)
_QUALITY = 80


def contact_sheet(batch: Batch, progress: Progress) -> str:
    """The store key of a WebP with up to 48 training images; the empty string where there is none.

    Training images alone, since evaluation images are shown to nobody, drawn by a hash of their
    content: the same ones every time.
    """
    images = batch.images.filter(split=Split.TRAIN)
    order = MD5(Concat(Value(_SEED), "content_hash"))
    rows = images.order_by(order, "content_hash").values_list("shard_row", flat=True)[: COLUMNS * ROWS]
    if not rows:
        return ""
    shard = Shard(store(), batch.train_shard)
    n_columns = min(COLUMNS, len(rows))
    n_rows = -(-len(rows) // n_columns)
    pitch = TILE + GAP
    sheet = Pillow.new("RGB", (n_columns * pitch + GAP, n_rows * pitch + GAP), _BACKGROUND)
    pngs = ((shard.png(row), TILE) for row in rows)
    with closing(map_ordered(tile, pngs)) as results:
        for n, (_, (width, height, pixels)) in enumerate(results):
            left = GAP + n % n_columns * pitch + (TILE - width) // 2
            top = GAP + n // n_columns * pitch + (TILE - height) // 2
            sheet.paste(Pillow.frombytes("RGB", (width, height), pixels), (left, top))
            progress((n + 1) / len(rows), "making the contact sheet")
    sink = io.BytesIO()
    sheet.save(sink, "WEBP", quality=_QUALITY)
    return store().put_bytes(sink.getvalue())
