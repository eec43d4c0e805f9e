"""What docs/data.md promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.data import archive, audit, contact_sheet, decode, pool
from evaluator.data.alignment import NEAR
from evaluator.data.datasets import FILE_ROWS
from evaluator.data.fingerprints import THUMBNAIL_SIDE
from evaluator.data.folder import COLUMNS
from evaluator.data.ids import ID_DIGITS
from evaluator.data.ingest import EVAL_SHARE, MAX_LISTED
from evaluator.data.near import Place
from evaluator.data.saved import SPLITS
from evaluator.data.shortcuts import MIN_CLASS
from protocols.contract import TRAIN_COLUMNS
from sandbox.datasets import dataset_info

TEXT = (Path(__file__).parents[3] / "docs" / "data.md").read_text()


@pytest.mark.parametrize(
    "promise",
    [
        ",".join(COLUMNS),
        f"{EVAL_SHARE:.0%}".replace("%", " % of all content hashes"),
        f"at most {decode.LIMITS.max_bytes // 2**20} MiB",
        f"{decode.LIMITS.max_pixels // 10**6} million pixels",
        f"at least {decode.LIMITS.min_side} pixels",
        f"with at least {NEAR} is near",
        f"thumbnail of {THUMBNAIL_SIDE}×{THUMBNAIL_SIDE} pixels",
        *(f"`{place}`" for place in Place),
        f"up to {audit.MAX_ORIGINALS:,} a class",
        f"up to {audit.MAX_PARTICIPANTS:,} a class and split",
        f"fewer than {MIN_CLASS} images",
        f"up to {contact_sheet.COLUMNS * contact_sheet.ROWS} training images",
        *(f"`{split}`" for split in SPLITS),
        f"more than {archive.MAX_FILES:,} members",
        f"{archive.MAX_UNPACKED_BYTES // 2**30} GiB unpacked",
        f"lists the first {MAX_LISTED:,}",
        f"{FILE_ROWS:,} rows",
        f"{ID_DIGITS} hex digits",
        *(f"| `{column}` |" for column in TRAIN_COLUMNS),
        *(f"{n} {name}" for n, name in enumerate(dataset_info(["label"])["features"]["label"]["names"])),
    ],
)
def test_the_page_gives_the_values_of_the_code(promise: str) -> None:
    assert promise in TEXT


def test_the_page_names_the_bounds_of_a_decoder() -> None:
    assert pool.ITEM_S == 120
    assert f"two minutes or {pool.MEMORY_BYTES // 2**30} GiB" in TEXT
    assert all(name in TEXT.replace("WebP", "WEBP") for name in decode.FORMATS)
