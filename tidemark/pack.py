"""Making one archive of the images that a maintainer points at.

A zip or tar is taken as it is. A folder becomes a zip whose bytes depend on the names and
contents of its files alone, so packing it again gives the same archive and an upload of it can
go on. A Hugging Face dataset on disk becomes such a zip of the images in its rows.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# What the usual names of splits mean here; of any other split the server decides by content.
SPLITS = {
    "train": "train",
    "training": "train",
    "eval": "eval",
    "evaluation": "eval",
    "test": "eval",
    "testing": "eval",
    "val": "eval",
    "valid": "eval",
    "validation": "eval",
    "dev": "eval",
}
ROWS_AT_ONCE = 64
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o100644 << 16

# Gets the number of files packed so far.
Progress = Callable[[int], None]


class PackError(RuntimeError):
    """There is nothing here that can be uploaded; the message says why."""


def pack(path: Path, scratch: Path, progress: Progress = lambda _done: None) -> Path:
    """The archive of the images at ``path``: itself, or a new zip in ``scratch``.

    Raises :class:`PackError`.
    """
    if path.is_file():
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
            return path
        raise PackError(f"{path} is no zip and no tar.")
    if not path.is_dir():
        raise PackError(f"There is no {path}.")
    archive = scratch / f"{path.resolve().name}.zip"
    tables = _tables(path)
    n_packed = _pack_tables(tables, archive, progress) if tables else _pack_folder(path, archive, progress)
    if not n_packed:
        raise PackError(f"There is no file in {path}.")
    return archive


def _pack_folder(folder: Path, archive: Path, progress: Progress) -> int:
    n_packed = 0
    with _zip(archive) as target:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            if not file.is_file() or any(part.startswith(".") for part in name.parts):
                continue
            with file.open("rb") as content, _member(target, name.as_posix()) as member:
                shutil.copyfileobj(content, member)
            n_packed += 1
            progress(n_packed)
    return n_packed


def _zip(archive: Path) -> zipfile.ZipFile:
    # Stored, not deflated: images are compressed already.
    return zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED)


def _member(target: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = _PLAIN_FILE
    return target.open(info, "w", force_zip64=True)


@dataclass(frozen=True)
class _Table:
    """One Arrow or Parquet file of a dataset, and the split that its rows belong to (None: not said)."""

    file: Path
    split: str | None


def _tables(folder: Path) -> list[_Table]:
    """The files of a dataset on disk in their order; none where ``folder`` is no dataset."""
    if (folder / "dataset_dict.json").is_file():
        names = _json(folder / "dataset_dict.json").get("splits", [])
        return [table for name in names for table in _saved(folder / _plain(folder, name), name)]
    if (folder / "state.json").is_file():
        return _saved(folder, _json(folder / "state.json").get("_split") or "")
    return [
        _Table(file, _split_in(file.relative_to(folder)))
        for file in sorted(folder.rglob("*.parquet"))
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _saved(folder: Path, split: str) -> list[_Table]:
    """The Arrow files that ``save_to_disk`` wrote."""
    files = _json(folder / "state.json").get("_data_files", [])
    names = [file.get("filename") if isinstance(file, dict) else None for file in files]
    return [_Table(folder / _plain(folder, name), SPLITS.get(str(split).lower())) for name in names]


def _split_in(name: Path) -> str | None:
    """The split that a Parquet file's folder or name tells, as in ``data/train-00000-of-00002.parquet``."""
    words = [*name.parts[:-1], name.stem.split("-")[0].split(".")[0]]
    return next((SPLITS[word.lower()] for word in words if word.lower() in SPLITS), None)


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackError(f"{file} can't be read: {error}") from error
    if not isinstance(value, dict):
        raise PackError(f"{file} is no JSON object.")
    return value


def _plain(folder: Path, name: object) -> str:
    """A name in a dataset's own files, which must not lead anywhere else."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name:
        raise PackError(f"The dataset {folder} names the file {name!r}, which lies outside it.")
    return name


def _pack_tables(tables: list[_Table], archive: Path, progress: Progress) -> int:
    try:
        import pyarrow as pa
    except ImportError:
        raise PackError("A dataset directory is read with pyarrow: pip install pyarrow") from None
    n_packed = 0
    with _zip(archive) as target:
        for table in tables:
            try:
                for name, content in _images(table.file):
                    folder = f"{table.split}/" if table.split else ""
                    with _member(target, f"{folder}{n_packed:08d}{name}") as member:
                        member.write(content)
                    n_packed += 1
                    progress(n_packed)
            except (pa.ArrowException, OSError) as error:
                raise PackError(f"{table.file} can't be read: {error}") from error
    return n_packed


def _images(file: Path) -> Iterator[tuple[str, bytes]]:
    """The images of a table's rows, each with the end of a name that tells where it came from."""
    for batch in _batches(file):
        column = batch.column(_image_column(file, batch.schema))
        for value in column:
            row = value.as_py()
            content, path = (row["bytes"], row.get("path")) if isinstance(row, dict) else (row, None)
            if not content:
                raise PackError(
                    f"{file} has a row without the bytes of its image: save the dataset with embedded images."
                )
            name = PurePosixPath(path or "").name
            yield (f"-{name}" if name else ""), content


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as parquet:
            yield from parquet.iter_batches(batch_size=ROWS_AT_ONCE)
    else:
        with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
            yield from stream


def _image_column(file: Path, schema: pa.Schema) -> str:
    """The one column of images: encoded bytes, alone or in a struct, as the ``Image`` feature stores them."""
    import pyarrow as pa

    def holds_bytes(kind: pa.DataType) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    found = [
        field.name
        for field in schema
        if holds_bytes(field.type)
        or (
            pa.types.is_struct(field.type)
            and "bytes" in (names := [part.name for part in field.type])
            and holds_bytes(field.type[names.index("bytes")].type)
        )
    ]
    if "image" in found:
        return "image"
    if len(found) != 1:
        raise PackError(
            f"{file} has {len(found) or 'no'} columns of images; there must be one, or one `image`."
        )
    return str(found[0])
