"""What the command line makes of a path before it uploads."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from evaluator.data.archive import archive_files
from tidemark.pack import PackError, pack


def picture(shade: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 40), (shade, 255 - shade, 7)).save(content, "PNG")
    return content.getvalue()


def write(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(number))
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def content(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def splits(archive: Path) -> list[tuple[str, str | None]]:
    """The files of an archive as the server's check reads them."""
    return [(file.name, file.split) for file in archive_files(archive)]


def test_a_folder_is_packed_without_what_is_hidden(tmp_path: Path, scratch: Path) -> None:
    folder = write(
        tmp_path / "flux", "train/b.png", "train/deep/a.png", "eval/c.png", ".git/x", "train/.DS_Store"
    )
    seen: list[int] = []
    archive = pack(folder, scratch, seen.append)
    assert splits(archive) == [
        ("eval/c.png", "eval"),
        ("train/b.png", "train"),
        ("train/deep/a.png", "train"),
    ]
    assert content(archive)["train/b.png"] == picture(0)
    assert seen == [1, 2, 3]


def test_packing_again_gives_the_same_bytes(tmp_path: Path, scratch: Path) -> None:
    folder = write(tmp_path / "flux", "b.png", "a.png")
    first = hashlib.sha256(pack(folder, scratch).read_bytes()).hexdigest()
    # The times of the files and the order of their writing differ.
    again = write(tmp_path / "again" / "flux", "b.png", "a.png")
    (again / "a.png").touch()
    assert hashlib.sha256(pack(again, scratch).read_bytes()).hexdigest() == first
    (again / "a.png").write_bytes(picture(9))
    assert hashlib.sha256(pack(again, scratch).read_bytes()).hexdigest() != first


def test_archives_are_taken_as_they_are(tmp_path: Path, scratch: Path) -> None:
    folder = write(tmp_path / "flux", "a.png")
    tar = tmp_path / "flux.tar.gz"
    with tarfile.open(tar, "w:gz") as target:
        target.add(folder, "flux")
    assert pack(tar, scratch) == tar
    packed = pack(folder, scratch)
    assert pack(packed, tmp_path) == packed


def rows(*shades: int, **more: Any) -> dict[str, Any]:
    return {"image": [{"bytes": picture(shade), "path": f"x/{shade}.png"} for shade in shades], **more}


def as_dataset(values: dict[str, Any]) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "prompt": datasets.Value("string")})
    return datasets.Dataset.from_dict({"prompt": ["p"] * len(values["image"]), **values}, features=features)


def test_a_saved_dataset_with_splits_becomes_train_and_eval(tmp_path: Path, scratch: Path) -> None:
    parts = {"train": as_dataset(rows(1, 2)), "test": as_dataset(rows(3)), "extra": as_dataset(rows(4))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "ds")
    archive = pack(tmp_path / "ds", scratch)
    assert splits(archive) == [
        ("train/00000000-1.png", "train"),
        ("train/00000001-2.png", "train"),
        ("eval/00000002-3.png", "eval"),
        ("00000003-4.png", None),
    ]
    assert list(content(archive).values()) == [picture(shade) for shade in (1, 2, 3, 4)]


def test_a_saved_dataset_in_several_files_is_read_to_its_end(tmp_path: Path, scratch: Path) -> None:
    as_dataset(rows(*range(150))).save_to_disk(tmp_path / "ds", num_shards=3)
    assert list(content(pack(tmp_path / "ds", scratch)).values()) == [picture(shade) for shade in range(150)]


def test_parquet_files_tell_their_split_by_name_or_folder(tmp_path: Path, scratch: Path) -> None:
    ds = tmp_path / "hub"
    (ds / "data").mkdir(parents=True)
    (ds / "default" / "validation").mkdir(parents=True)
    for name, shade in (("data/train-00000-of-00001", 1), ("default/validation/0000", 2)):
        as_dataset(rows(shade)).to_parquet(ds / f"{name}.parquet")
    assert [split for _, split in splits(pack(ds, scratch))] == ["train", "eval"]


def test_images_in_a_bare_column_of_bytes_are_found(tmp_path: Path, scratch: Path) -> None:
    pq.write_table(pa.table({"png": [picture(1)], "label": [1]}), tmp_path / "a.parquet")
    assert content(pack(tmp_path, scratch)) == {"00000000": picture(1)}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"label": [1]}, "no columns of images"),
        ({"a": [b"x"], "b": [b"y"]}, "2 columns of images"),
        ({"image": [{"bytes": None, "path": "/etc/passwd"}]}, "without the bytes"),
    ],
)
def test_a_dataset_without_the_images_themselves_is_refused(
    tmp_path: Path, scratch: Path, table: dict[str, Any], why: str
) -> None:
    schema = None
    if "image" in table:
        schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    pq.write_table(pa.table(table, schema=schema), tmp_path / "a.parquet")
    with pytest.raises(PackError, match=why):
        pack(tmp_path, scratch)


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/passwd", "..", "", None, 3])
def test_a_dataset_reads_no_file_outside_itself(tmp_path: Path, scratch: Path, name: object) -> None:
    as_dataset(rows(1)).save_to_disk(tmp_path / "ds")
    (tmp_path / "ds" / "data-00000-of-00001.arrow").rename(tmp_path / "secret.arrow")
    state = {"_data_files": [{"filename": name}], "_split": None}
    (tmp_path / "ds" / "state.json").write_text(json.dumps(state))
    with pytest.raises(PackError, match="which lies outside it"):
        pack(tmp_path / "ds", scratch)


def test_what_is_nothing_to_upload_is_told(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "notes.txt").write_text("no archive")
    with pytest.raises(PackError, match=r"is no zip and no tar"):
        pack(tmp_path / "notes.txt", scratch)
    with pytest.raises(PackError, match=r"There is no .*nowhere"):
        pack(tmp_path / "nowhere", scratch)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackError, match=r"There is no file in"):
        pack(tmp_path / "empty", scratch)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(PackError, match=r"a\.parquet can't be read"):
        pack(tmp_path / "broken", scratch)
    (tmp_path / "broken" / "state.json").write_text("{")
    with pytest.raises(PackError, match=r"state\.json can't be read"):
        pack(tmp_path / "broken", scratch)
