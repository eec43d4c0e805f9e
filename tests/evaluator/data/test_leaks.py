"""Nothing that a container can read tells the label or the unit of an evaluation image.

Fakes and reals come from one distribution of pixels and differ in all that must not get through:
container format, metadata, file names, folders, order and batch. So whatever separates them in
the mounted folder is a leak. The key of ids is fixed, so every statistic here is one number.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from django.db import transaction
from django.test import override_settings
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pytest_django import DjangoDbBlocker
from scipy import stats

from evaluator.data import datasets as our_datasets
from evaluator.data.arrow import read_table
from evaluator.data.evaluation import ensure_eval_set
from evaluator.data.sources import SourceFile
from evaluator.data.staging import stage_eval
from leaderboard.services.corpora import corpus_create
from protocols.contract import EVAL_COLUMNS
from tests.evaluator.data.conftest import silent
from tests.evaluator.data.images import chunks_of, file_of, picture
from tests.evaluator.data.sets import Sets, build_sets

pytestmark = pytest.mark.django_db

UNITS = ("progan", "midjourney", "dalle")
FAKES = 120
SIDE = 32
FILE_ROWS = 100
# Of the statistics below about twenty are looked at; an honest order passes them all by far.
ALPHA = 1e-3


@dataclass
class Mounted:
    """A staged folder with what the server knows of its rows."""

    folder: Path
    sets: Sets
    ids: list[str]
    pngs: list[bytes]
    label: NDArray[np.int64]
    unit: NDArray[np.int64]


def fake(seed: int, n: int) -> SourceFile:
    info = PngInfo()
    info.add_text("prompt", "a cat, generated")
    data = file_of(picture(seed, SIDE, SIDE), "PNG", pnginfo=info, compress_level=9)
    return SourceFile(f"fake_{n}.png", data, "eval")


def real(seed: int, n: int) -> SourceFile:
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    data = file_of(picture(seed, SIDE, SIDE), "TIFF", exif=exif)
    return SourceFile(f"real_{n}.tiff", data, "eval")


@pytest.fixture(scope="module")
def mounted(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Mounted:
    """Built once for all tests, which only read the folder; the database keeps nothing of it."""
    folder = tmp_path_factory.mktemp("leaks")
    with (
        django_db_blocker.unblock(),
        override_settings(HOME=folder / "home"),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(our_datasets, "FILE_ROWS", FILE_ROWS)
        with transaction.atomic():
            mounted = build_mounted(folder / "eval")
            transaction.set_rollback(True)
    return mounted


def build_mounted(folder: Path) -> Mounted:
    fakes = {slug: [fake(10_000 * (u + 1) + n, n) for n in range(FAKES)] for u, slug in enumerate(UNITS)}
    corpus = corpus_create(slug="c", name="C")
    sets = build_sets(corpus, fakes, [real(n, n) for n in range(FAKES * len(UNITS))])
    units = list(sets.units.values())
    eval_set = ensure_eval_set(units, silent)
    stage_eval(folder, eval_set)
    known: dict[str, tuple[int, int]] = {}
    for number, unit in enumerate(units):
        for position, opaque in enumerate(eval_set.image_ids(unit)):
            known[opaque] = (int(position < unit.n_fakes), number)
    tables = [read_table(path) for path in sorted(folder.glob("*.arrow"))]
    rows = [row for table in tables for row in table.to_pylist()]
    facts = np.array([known[row["image_id"]] for row in rows])
    ids = [row["image_id"] for row in rows]
    pngs = [row["image"]["bytes"] for row in rows]
    return Mounted(folder, sets, ids, pngs, facts[:, 0], facts[:, 1])


def order_p_values(group: NDArray[np.int64]) -> dict[str, float]:
    """How likely a random order is to look like this one: by position, contiguity, period and file."""
    positions = np.arange(len(group))
    split = [positions[group == value] for value in np.unique(group)]
    p = {"position": float(stats.kruskal(*split).pvalue)}
    # Contiguity: neighbours (and neighbours at a short distance) of one group, against a random order.
    share = sum((len(part) / len(group)) ** 2 for part in split)
    for lag in (1, 2, 3):
        same = int((group[lag:] == group[:-lag]).sum())
        p[f"lag {lag}"] = float(stats.binomtest(same, len(group) - lag, share).pvalue)
    for name, block in (("file", FILE_ROWS), ("record batch", 64), ("eighth", len(group) // 8)):
        counts = [
            np.bincount(group[i : i + block], minlength=len(split)) for i in range(0, len(group), block)
        ]
        full = [row for row in counts if row.sum() == block]
        p[name] = float(stats.chi2_contingency(np.array(full)).pvalue)
    for period in (2, 3, 4):
        table = [np.bincount(group[i::period], minlength=len(split)) for i in range(period)]
        p[f"every {period}"] = float(stats.chi2_contingency(np.array(table)).pvalue)
    return p


def test_the_test_of_order_sees_what_it_should(mounted: Mounted) -> None:
    n = len(mounted.unit)
    by_unit = np.sort(mounted.unit)
    alternating = np.arange(n) % 2
    by_file = (np.arange(n) // FILE_ROWS) % 2
    pairs = (np.arange(n) // 2) % 2
    assert order_p_values(by_unit)["position"] < ALPHA
    assert order_p_values(alternating)["every 2"] < ALPHA
    assert order_p_values(by_file)["file"] < ALPHA
    assert order_p_values(pairs)["lag 2"] < ALPHA


def test_order_contiguity_and_files_tell_nothing(mounted: Mounted) -> None:
    assert len(mounted.ids) == 2 * FAKES * len(UNITS)
    for facts in (mounted.label, mounted.unit, 2 * mounted.unit + mounted.label):
        p = order_p_values(facts)
        assert min(p.values()) > ALPHA, p


def test_ids_tell_nothing(mounted: Mounted) -> None:
    assert all(re.fullmatch(r"[0-9a-f]{32}", opaque) for opaque in mounted.ids)
    assert len(set(mounted.ids)) == len(mounted.ids)
    assert mounted.ids == sorted(mounted.ids)
    digits = np.array([[int(digit, 16) for digit in opaque] for opaque in mounted.ids])
    for facts in (mounted.label, mounted.unit):
        for column in digits.T[1:]:
            parts = [column[facts == value] for value in np.unique(facts)]
            assert stats.kruskal(*parts).pvalue > ALPHA / 10


def test_the_encoding_is_one_and_the_same(mounted: Mounted) -> None:
    assert {tuple(dict.fromkeys(chunks_of(png))) for png in mounted.pngs} == {(b"IHDR", b"IDAT", b"IEND")}
    # Bit depth, colour type, compression, filter, interlace.
    assert len({png[24:29] for png in mounted.pngs}) == 1
    # The zlib header holds the size of the window, which follows from the size of the image alone.
    sizes = [png[16:24] for png in mounted.pngs]
    headers = {(size, png[41:43]) for size, png in zip(sizes, mounted.pngs, strict=True)}
    assert len(headers) == len(set(sizes)) > 10
    for facts in ([len(png) for png in mounted.pngs], [int.from_bytes(size) for size in sizes]):
        value = np.array(facts, dtype=np.float64)
        assert stats.ks_2samp(value[mounted.label == 1], value[mounted.label == 0]).pvalue > ALPHA


def test_the_dataset_has_the_contract_s_features_and_no_more(mounted: Mounted) -> None:
    loaded = datasets.load_from_disk(str(mounted.folder))
    assert tuple(loaded.features) == EVAL_COLUMNS
    assert loaded.info.description == loaded.info.citation == loaded.info.homepage == ""
    assert loaded.split is None
    for path in mounted.folder.glob("*.arrow"):
        table = read_table(path)
        assert table.schema.metadata is None
        assert all(column.metadata is None for column in table.schema)
        assert table["image"].combine_chunks().field("path").null_count == len(table)


def test_the_folder_holds_nothing_else(mounted: Mounted) -> None:
    assert sorted(path.name for path in mounted.folder.iterdir()) == [
        *(f"data-{n:05d}-of-00008.arrow" for n in range(8)),
        "dataset_info.json",
        "state.json",
    ]
    assert json.loads((mounted.folder / "dataset_info.json").read_text()) == {
        "features": {"image": {"_type": "Image"}, "image_id": {"dtype": "string", "_type": "Value"}}
    }
    state = json.loads((mounted.folder / "state.json").read_text())
    assert re.fullmatch(r"[0-9a-f]{16}", state.pop("_fingerprint"))
    assert state == {
        "_data_files": [{"filename": f"data-{n:05d}-of-00008.arrow"} for n in range(8)],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }


def test_no_name_and_no_hash_is_in_any_byte(mounted: Mounted) -> None:
    data = b"".join(path.read_bytes() for path in sorted(mounted.folder.iterdir()))
    words: list[str] = [*UNITS, "photographs", "fake_", "real_", ".tiff", "prompt", "Camera maker", "train"]
    for hashes in [*mounted.sets.fakes.values(), *mounted.sets.reals.values()]:
        words += hashes
    assert [word for word in words if word.encode() in data] == []
    raw = [word for word in words if len(word) == 64 and bytes.fromhex(word) in data]
    assert raw == []


def test_times_modes_and_lengths_of_files_tell_nothing(mounted: Mounted) -> None:
    files = [path.stat() for path in mounted.folder.iterdir()]
    assert {status.st_mtime for status in files} == {315532800.0}
    assert {stat.S_IMODE(status.st_mode) for status in files} == {0o444}
    assert {status.st_uid for status in files} == {os.getuid()}
    lengths = [read_table(path).num_rows for path in sorted(mounted.folder.glob("*.arrow"))]
    assert lengths == [100] * 7 + [20]


def test_record_batches_have_a_fixed_length(mounted: Mounted) -> None:
    lengths: list[Any] = []
    for path in sorted(mounted.folder.glob("*.arrow")):
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            lengths.append([batch.num_rows for batch in stream])
    assert lengths == [[64, 36]] * 7 + [[20]]
