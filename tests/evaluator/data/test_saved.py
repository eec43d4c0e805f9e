"""Datasets as `save_to_disk` writes them, in archives, and what nobody should send."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from evaluator.data import archive
from evaluator.data.archive import archive_files
from evaluator.data.decode import LIMITS
from evaluator.data.sources import SourceFile
from leaderboard.models import Batch
from leaderboard.store import Store
from protocols.errors import DataError
from tests.evaluator.data.conftest import take
from tests.evaluator.data.images import png

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def dataset(seeds: range, column: str = "image") -> datasets.Dataset:
    rows = {column: [{"bytes": png(seed), "path": f"{seed}.png"} for seed in seeds], "n": list(seeds)}
    features = datasets.Features({column: datasets.Image(), "n": datasets.Value("int64")})
    return datasets.Dataset.from_dict(rows, features=features)


def packed(folder: Path, kind: str = "zip") -> Path:
    target = folder.with_suffix(f".{kind}")
    if kind == "zip":
        with zipfile.ZipFile(target, "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(target, "w:gz") as tar:
            tar.add(folder, folder.name)
    return target


def stream(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def table(rows: list[dict[str, object] | None], name: str = "image") -> pa.Table:
    return pa.table({name: pa.array(rows, IMAGE)})


def uploaded(path: Path, arrow: bytes, **others: bytes) -> Path:
    state = {"_data_files": [{"filename": "data.arrow"}], "_fingerprint": "x"}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("d/data.arrow", arrow)
        file.writestr("d/state.json", json.dumps(state))
        for name, data in others.items():
            file.writestr(f"d/{name}", data)
    return path


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(archive_files(path))
    return caught.value


@pytest.mark.parametrize("kind", ["zip", "tgz"])
@pytest.mark.parametrize("name", ["eval", "test", "validation"])
def test_a_dataset_dict_is_read_with_its_splits(tmp_path: Path, home: Path, kind: str, name: str) -> None:
    saved = datasets.DatasetDict({"train": dataset(range(7)), name: dataset(range(10, 15))})
    saved.save_to_disk(str(tmp_path / "d"), num_shards={"train": 2, name: 1})
    files = archive_files(packed(tmp_path / "d", kind))
    assert len(list(files)) == 12
    found = {(file.content, file.split) for file in files}
    assert found == {(png(n), "train") for n in range(7)} | {(png(n), "eval") for n in range(10, 15)}
    assert {file.name for file in files} >= {
        "d/train/data-00000-of-00002.arrow[0]",
        "d/train/data-00001-of-00002.arrow[2]",
    }


def test_a_single_dataset_is_split_by_content(tmp_path: Path, home: Path) -> None:
    dataset(range(3), column="picture").save_to_disk(str(tmp_path / "d"))
    assert [(f.content, f.split) for f in archive_files(packed(tmp_path / "d"))] == [
        (png(n), None) for n in range(3)
    ]


def test_its_images_reach_the_corpus(
    tmp_path: Path, fake_batch: Callable[[str], Batch], objects: Store
) -> None:
    saved = datasets.DatasetDict({"train": dataset(range(6)), "test": dataset(range(5, 9))})
    saved.save_to_disk(str(tmp_path / "d"))
    report = take(fake_batch("gan"), archive_files(packed(tmp_path / "d")))
    assert (report.n_train, report.n_eval, report.n_rejected) == (5, 4, {"image_duplicate": 1})
    assert report.rejected[0].name == "d/train/data-00000-of-00001.arrow[5]"
    assert list(objects.scratch_folder.iterdir()) == []


def test_plain_images_beside_a_dataset_are_taken_too(tmp_path: Path, home: Path) -> None:
    path = uploaded(tmp_path / "z", stream(table([{"bytes": b"one", "path": None}])))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("eval/x.png", b"two")
        file.writestr("state.json", b"{}")
        file.writestr("other/alone.arrow", b"three")
    assert sorted(archive_files(path), key=lambda f: f.name) == [
        SourceFile("d/data.arrow[0]", b"one"),
        SourceFile("eval/x.png", b"two", "eval"),
        SourceFile("other/alone.arrow", b"three"),
        SourceFile("state.json", b"{}"),
    ]


def test_caches_beside_a_dataset_are_not_read(tmp_path: Path, home: Path) -> None:
    path = uploaded(
        tmp_path / "z",
        stream(table([{"bytes": b"one", "path": None}])),
        **{"cache-1.arrow": stream(table([{"bytes": b"two", "path": None}])), "dataset_info.json": b"[]"},
    )
    assert [file.content for file in archive_files(path)] == [b"one"]


def test_rows_without_bytes_and_overlong_ones_are_left_to_the_decoder(tmp_path: Path, home: Path) -> None:
    """A path in a row is never followed."""
    rows: list[dict[str, object] | None] = [
        {"bytes": None, "path": "/etc/passwd"},
        None,
        {"bytes": bytes(LIMITS.max_bytes + 500), "path": None},
        {"bytes": b"last", "path": "../../x"},
    ]
    contents = [file.content for file in archive_files(uploaded(tmp_path / "z", stream(table(rows))))]
    assert [len(content) for content in contents] == [0, 0, LIMITS.max_bytes + 1, 4]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arrow",
    [
        b"",
        b"not arrow at all",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(100),
        stream(pa.table({"image": ["a path"]})),
        stream(pa.table({"n": [1]})),
        stream(table([{"bytes": png(1), "path": None}]))[:-3000],
    ],
    ids=["empty", "text", "huge header", "paths", "numbers", "cut"],
)
def test_damage_is_refused(tmp_path: Path, home: Path, objects: Store, arrow: bytes) -> None:
    assert refused(uploaded(tmp_path / "z", arrow)).code == "batch_dataset"
    assert list(objects.scratch_folder.iterdir()) == []


def test_offsets_that_lead_outside_are_refused(tmp_path: Path, home: Path) -> None:
    data = stream(table([{"bytes": b"A" * 64, "path": None}, {"bytes": b"B" * 64, "path": None}]))
    offsets = (0).to_bytes(4, "little") + (64).to_bytes(4, "little") + (128).to_bytes(4, "little")
    assert data.count(offsets) == 1
    broken = data.replace(offsets, offsets[:8] + (2**30).to_bytes(4, "little"))
    assert refused(uploaded(tmp_path / "z", broken)).code == "batch_dataset"


def test_a_bomb_meets_the_limits(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, object] | None] = [{"bytes": bytes(2**20), "path": None}] * 50
    path = uploaded(tmp_path / "z", stream(table(rows), compression="zstd"))
    assert path.stat().st_size < 2**20
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 20 * 2**20)
    assert "unpacks" in refused(path).detail
    monkeypatch.setattr(archive, "MAX_FILES", 10)
    assert refused(path).detail == "There are more than 10 images."


def test_what_a_dataset_says_of_itself_is_not_believed(tmp_path: Path, home: Path) -> None:
    arrow = stream(table([{"bytes": b"one", "path": None}]))
    for info in (b"{", b'{"splits": 3}', b'{"splits": {"x": {"num_examples": 1e99}}}', b"[" * 100_000):
        files = archive_files(uploaded(tmp_path / "z", arrow, **{"dataset_info.json": info}))
        assert len(list(files)) == 1
        assert len(files) <= archive.MAX_FILES


def test_the_progress_goes_by_what_a_dataset_says_or_else_by_its_size(tmp_path: Path, home: Path) -> None:
    arrow = stream(table([{"bytes": bytes(2_000_000), "path": None}]))
    info = json.dumps({"splits": {"train": {"num_examples": 40}, "test": {"num_examples": 2}}}).encode()
    assert len(archive_files(uploaded(tmp_path / "z", arrow, **{"dataset_info.json": info}))) == 42
    assert len(archive_files(uploaded(tmp_path / "z", arrow))) == 20
