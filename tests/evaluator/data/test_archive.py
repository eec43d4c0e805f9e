"""Archives that nobody should send."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from evaluator.data import archive
from evaluator.data.archive import archive_files
from evaluator.data.decode import LIMITS
from evaluator.data.sources import SourceFile
from protocols.errors import DataError

FILES = {"train/a.png": b"a" * 1000, "b/eval/c.png": b"c", "d.png": b""}
EXPECTED = [
    SourceFile("train/a.png", b"a" * 1000, "train"),
    SourceFile("b/eval/c.png", b"c", "eval"),
    SourceFile("d.png", b""),
]


def zip_of(path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


def tar_of(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as target:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data) or info.size
            target.addfile(info, io.BytesIO(data) if data else None)
    return path


def plain(files: Mapping[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(name), data) for name, data in files.items()]


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(archive_files(path))
    return caught.value


@pytest.mark.parametrize("kind", ["zip", "stored", "w", "w:gz"])
def test_files_come_with_their_split(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "upload"
    if kind in ("zip", "stored"):
        zip_of(path, FILES, zipfile.ZIP_DEFLATED if kind == "zip" else zipfile.ZIP_STORED)
    else:
        tar_of(path, plain(FILES), kind)
    files = archive_files(path)
    assert len(files) == 3
    assert list(files) == EXPECTED
    assert list(files) == EXPECTED


def test_pax_and_gnu_names_are_read(tmp_path: Path) -> None:
    name = "train/" + "x" * 150 + "é.png"
    for number, format in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        path = tmp_path / str(number)
        with tarfile.open(path, "w", format=format) as target:
            info = tarfile.TarInfo(name)
            info.size = 1
            target.addfile(info, io.BytesIO(b"x"))
        assert list(archive_files(path)) == [SourceFile(name, b"x", "train")]


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    names = ["./a.png", ".DS_Store", "x/.hidden/b.png", "__MACOSX/x/._a.png"]
    path = tar_of(tmp_path / "t", plain(dict.fromkeys(names, b"1")))
    assert [file.name for file in archive_files(path)] == ["./a.png"]


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\3\4 not a zip", b"\x1f\x8b\x08 not gzip", bytes(512)])
def test_anything_else_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    assert refused(path).code in ("batch_archive", "batch_empty")


def test_an_empty_archive_is_empty(tmp_path: Path) -> None:
    assert refused(zip_of(tmp_path / "z", {})).code == "batch_empty"
    assert refused(tar_of(tmp_path / "t", [])).code == "batch_empty"
    assert refused(zip_of(tmp_path / "d", {"folder/": b""})).code == "batch_empty"


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["zip", "w", "w:gz"])
def test_damage_is_refused(tmp_path: Path, kind: str, cut: float) -> None:
    path = tmp_path / "upload"
    rows = {f"{n}.png": os.urandom(20_000) for n in range(20)}
    if kind == "zip":
        zip_of(path, rows)
    else:
        tar_of(path, plain(rows), kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    assert refused(path).code == "batch_archive"


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "z", {"a.png": b"content" * 50}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"contentcontent", b"contentCONTENT", 1))
    assert refused(path).code == "batch_archive"


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png", "..\\a.png"])
def test_names_outside_are_refused(tmp_path: Path, name: str) -> None:
    for path in (zip_of(tmp_path / "z", {name: b"x"}), tar_of(tmp_path / "t", plain({name: b"x"}))):
        assert "outside" in refused(path).detail


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a.png")
    info.type, info.linkname = kind, "/etc/passwd"
    error = refused(tar_of(tmp_path / "t", [(info, b"")]))
    assert (error.code, "neither a file nor a folder" in error.detail) == ("batch_archive", True)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "z", "w") as target:
        target.writestr(info, "/etc/passwd")
    assert "neither a file nor a folder" in refused(tmp_path / "z").detail


def test_encryption_and_odd_compression_are_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "b", {"a.png": b"x" * 100}, zipfile.ZIP_LZMA)
    assert "deflate" in refused(path).detail
    path = zip_of(tmp_path / "e", {"a.png": b"x" * 100})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path).detail


def test_a_large_file_is_cut_where_the_decoder_refuses_it(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "z", {"a.png": bytes(LIMITS.max_bytes + 500)})
    (file,) = archive_files(path)
    assert isinstance(file.content, bytes)
    assert len(file.content) == LIMITS.max_bytes + 1


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tar_of(tmp_path / "t", plain({f"{n}.png": bytes(1000) for n in range(10)}), "w:gz")
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 9_999)
    assert "unpacks" in refused(path).detail
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 10_000)
    assert len(archive_files(path)) == 10
    monkeypatch.setattr(archive, "MAX_FILES", 9)
    assert "members" in refused(path).detail


def test_a_bomb_in_a_tar_header_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, 4 * 2**30
    path = tmp_path / "t"
    with gzip.open(path, "wb", compresslevel=1) as target:
        target.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(4):
            target.write(bytes(2**20))
    assert "header is too large" in refused(path).detail


def test_names_are_fit_for_a_report(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "t", plain({"bad\udcffname\x1b[31m.png": b"x", "n" * 300: b"y"}))
    names = [file.name for file in archive_files(path)]
    assert names[0] == "bad\\udcffname\\x1b[31m.png"
    assert len(names[1]) == 255
