"""Archives that are made to hurt: by name, each refused soon and in little memory."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from protocols.errors import ParticipantError
from sandbox.archive import bounds, clean_archive, inspect_archive, tar
from tests.sandbox.archives import (
    AMD64,
    MANIFEST_TYPE,
    Image,
    Layout,
    add_special,
    as_json,
    digest_of,
    layer,
    packed,
    write_archive,
    write_members,
)

MIB = 1 << 20
IMAGE = Image()
LAYER = IMAGE.layers[0]
Bomb = Callable[[Path], bytes]


def plain(members: list[tuple[str, bytes]], *special: Callable[[tarfile.TarFile], None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for step in special:
            step(archive)
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def image_with(content: bytes, diff: bytes | None = None) -> list[tuple[str, bytes]]:
    """A docker-archive with this layer, whose digest the config has right, as that of ``diff`` if given."""
    config = Image(layers=[content if diff is None else diff]).config
    manifest = [{"Config": "c.json", "Layers": ["l.tar"]}]
    return [("l.tar", content), ("c.json", config), as_json("manifest.json", manifest)]


def raw_header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def gzip_bomb(_: Path) -> bytes:
    return gzip.compress(plain(image_with(layer({"zeros": "\0" * 64 * MIB}))), 1)


def zstd_bomb(_: Path) -> bytes:
    return zstd.compress(plain(image_with(layer({"zeros": "\0" * 64 * MIB}))))


def gzip_layer_bomb(_: Path) -> bytes:
    content = layer({"zeros": "\0" * 64 * MIB})
    return plain(image_with(gzip.compress(content, 1), content))


def zstd_layer_bomb(_: Path) -> bytes:
    content = layer({"zeros": "\0" * 64 * MIB})
    return plain(image_with(zstd.compress(content), content))


def gzip_in_zstd(_: Path) -> bytes:
    content = layer({"zeros": "\0" * 64 * MIB})
    return zstd.compress(plain(image_with(gzip.compress(content, 1), content)))


def nested_gzip_layer(_: Path) -> bytes:
    """An engine may unpack it twice, and so get something that nobody has looked at."""
    once = gzip.compress(layer({"zeros": "\0" * MIB}))
    return plain(image_with(gzip.compress(once), once))


def zstd_of_many_frames(_: Path) -> bytes:
    return plain(image_with(zstd.compress(b"") * 5000 + zstd.compress(LAYER), LAYER))


def gzip_of_many_members(_: Path) -> bytes:
    return plain(image_with(gzip.compress(b"") * 5000 + gzip.compress(LAYER), LAYER))


def zstd_that_wants_gigabytes(_: Path) -> bytes:
    """A frame with a window of 2 GiB."""
    options = {zstd.CompressionParameter.window_log: 31, zstd.CompressionParameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(plain(image_with(LAYER))) + compressor.flush()


def gzip_cut_short(_: Path) -> bytes:
    return plain(image_with(gzip.compress(LAYER)[:-9], LAYER))


def gzip_with_rubbish_behind(_: Path) -> bytes:
    return plain(image_with(gzip.compress(LAYER) + b"rubbish", LAYER))


def zip_of_zeros(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(16 * MIB))
    return (folder / "zip").read_bytes()


def ten_thousand_members(_: Path) -> bytes:
    return plain([(f"x/{n}", b"") for n in range(bounds.MAX_MEMBERS + 1)])


def a_million_files_in_a_layer(_: Path) -> bytes:
    return plain(image_with(raw_header(tarfile.REGTYPE, 0) * 2001 + bytes(1024)))


def long_pax_header(_: Path) -> bytes:
    return raw_header(tarfile.XHDTYPE, 1 << 40) + bytes(10_240)


def many_pax_headers(_: Path) -> bytes:
    header = raw_header(tarfile.XHDTYPE, MIB) + b"1048576 comment=" + b"x" * (MIB - 17) + b"\n"
    return header * 5 + plain(image_with(LAYER))


def quadratic_pax_header(_: Path) -> bytes:
    return raw_header(tarfile.XHDTYPE, MIB) + b"1" * MIB + plain(image_with(LAYER))


def headers_of_headers(_: Path) -> bytes:
    return raw_header(tarfile.XHDTYPE, 0) * 10_000 + plain(image_with(LAYER))


def negative_size(_: Path) -> bytes:
    return raw_header(tarfile.REGTYPE, -512) + plain(image_with(LAYER))


def endless_member(_: Path) -> bytes:
    return raw_header(tarfile.REGTYPE, 1 << 60) + plain(image_with(LAYER))


def damaged_header(_: Path) -> bytes:
    raw = bytearray(plain(image_with(LAYER)))
    raw[100] ^= 1
    return bytes(raw)


def goes_on_after_its_end(_: Path) -> bytes:
    content = LAYER[: -2 * 512].rstrip(b"\0")
    content += bytes(-len(content) % 512) + bytes(512) + raw_header(tarfile.REGTYPE, 0) + bytes(1024)
    return plain(image_with(content))


def gnu_sparse_member(_: Path) -> bytes:
    return raw_header(b"S", 0) + plain(image_with(LAYER))


def sparse_file_in_a_layer(_: Path) -> bytes:
    """512 bytes that an engine would write as a file of a terabyte."""
    header = bytearray(raw_header(b"S", 0))
    header[483:495] = b"%011o\0" % (1 << 32)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return plain(image_with(bytes(header) + bytes(1024)))


def pax_sparse_file_in_a_layer(_: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("sparse")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1" * 12}
        archive.addfile(info)
    return plain(image_with(buffer.getvalue()))


def file_outside_its_layer(_: Path) -> bytes:
    return plain(image_with(layer({"../../etc/cron.d/evil": "* * * * *"})))


def hard_link_outside_its_layer(_: Path) -> bytes:
    return plain(image_with(plain([], lambda a: add_special(a, "l", tarfile.LNKTYPE, "../../etc/shadow"))))


def unknown_kind_in_a_layer(_: Path) -> bytes:
    return plain(image_with(raw_header(b"M", 0) + bytes(1024)))


def link_loop(_: Path) -> bytes:
    return plain(
        image_with(LAYER),
        lambda a: add_special(a, "a", tarfile.SYMTYPE, "b"),
        lambda a: add_special(a, "b", tarfile.SYMTYPE, "a"),
    )


def link_to_a_link(_: Path) -> bytes:
    return plain(
        [("c.json", IMAGE.config), as_json("manifest.json", [{"Config": "c.json", "Layers": ["b"]}])],
        lambda a: add_special(a, "a", tarfile.SYMTYPE, "c.json"),
        lambda a: add_special(a, "b", tarfile.SYMTYPE, "a"),
    )


def device_node(_: Path) -> bytes:
    return plain(image_with(LAYER), lambda a: add_special(a, "sda", tarfile.BLKTYPE))


def deep_json(_: Path) -> bytes:
    return plain([("manifest.json", b"[" * MIB + b"]" * MIB)])


def huge_number(_: Path) -> bytes:
    return plain([("manifest.json", b"9" * MIB)])


def long_json(_: Path) -> bytes:
    return plain([("manifest.json", b"[" + b" " * bounds.MAX_JSON_BYTES + b"]")])


def much_json(_: Path) -> bytes:
    blob = b"[" + b" " * (bounds.MAX_JSON_BYTES - 2) + b"]"
    return plain([(f"{n}.json", blob) for n in range(17)])


def a_billion_layers(_: Path) -> bytes:
    manifest = [{"Config": "c.json", "Layers": ["l.tar"] * 400_000}]
    return plain([("l.tar", LAYER), ("c.json", IMAGE.config), as_json("manifest.json", manifest)])


def one_layer_listed_500_times(_: Path) -> bytes:
    """An engine unpacks it 500 times."""
    content = layer({"zeros": "0" * MIB})
    image = Image(layers=[content] * bounds.MAX_LAYERS)
    manifest = [{"Config": "c.json", "Layers": ["l.tar"] * bounds.MAX_LAYERS}]
    return plain([("l.tar", content), ("c.json", image.config), as_json("manifest.json", manifest)])


def a_descriptor_that_lies(_: Path) -> bytes:
    layout = Layout()
    manifest = json.loads(layout.blobs["blobs/" + layout.add_image(IMAGE)["digest"].replace(":", "/")])
    manifest["layers"][0]["size"] = 1 << 62
    return plain(layout.members(layout.add_json(manifest, MANIFEST_TYPE, platform=AMD64)))


BOMBS: dict[Bomb, str] = {
    gzip_bomb: "archive_bomb",
    zstd_bomb: "archive_bomb",
    gzip_layer_bomb: "archive_bomb",
    zstd_layer_bomb: "archive_bomb",
    gzip_in_zstd: "archive_bomb",
    nested_gzip_layer: "archive_unreadable",
    zstd_of_many_frames: "archive_too_large",
    gzip_of_many_members: "archive_too_large",
    zstd_that_wants_gigabytes: "archive_unreadable",
    gzip_cut_short: "archive_unreadable",
    gzip_with_rubbish_behind: "archive_unreadable",
    zip_of_zeros: "archive_unreadable",
    ten_thousand_members: "archive_too_large",
    a_million_files_in_a_layer: "archive_too_large",
    long_pax_header: "archive_unsafe",
    many_pax_headers: "archive_too_large",
    quadratic_pax_header: "archive_unreadable",
    headers_of_headers: "archive_too_large",
    negative_size: "archive_unreadable",
    endless_member: "archive_unreadable",
    damaged_header: "archive_unreadable",
    goes_on_after_its_end: "archive_unreadable",
    gnu_sparse_member: "archive_unsafe",
    sparse_file_in_a_layer: "archive_unsafe",
    pax_sparse_file_in_a_layer: "archive_unsafe",
    file_outside_its_layer: "archive_unsafe",
    hard_link_outside_its_layer: "archive_unsafe",
    unknown_kind_in_a_layer: "archive_unsafe",
    link_loop: "archive_unsafe",
    link_to_a_link: "archive_unsafe",
    device_node: "archive_unsafe",
    deep_json: "archive_unreadable",
    huge_number: "archive_unreadable",
    long_json: "archive_too_large",
    much_json: "archive_too_large",
    a_billion_layers: "archive_unreadable",
    one_layer_listed_500_times: "archive_bomb",
    a_descriptor_that_lies: "archive_digest",
}


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds at which a bomb goes off in a second. What they bound is the same."""
    monkeypatch.setattr(bounds, "FREE_BYTES", 8 * MIB)
    monkeypatch.setattr("sandbox.archive.contents.MAX_FILES", 2000)
    monkeypatch.setattr("sandbox.archive.contents.MAX_FRAMES", 2000)


@pytest.mark.parametrize(("bomb", "code"), BOMBS.items(), ids=[bomb.__name__ for bomb in BOMBS])
def test_a_bomb_does_not_go_off(tight: None, tmp_path: Path, bomb: Bomb, code: str) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(bomb(tmp_path))
    before = sorted(tmp_path.iterdir())
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ParticipantError) as caught:
            inspect_archive(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == code
    assert time.process_time() - started < 10
    # All JSON of an archive may be kept, and nothing else.
    assert peak_bytes < (80 if bomb is much_json else 40) * MIB
    assert sorted(tmp_path.iterdir()) == before


def test_what_packs_well_and_is_small_is_no_bomb(tmp_path: Path) -> None:
    content = layer({"zeros": "\0" * 64 * MIB})
    path = write_members(tmp_path / "image.tar", image_with(packed(content, "zstd"), content), "gzip")
    assert path.stat().st_size < 64 << 10
    assert inspect_archive(path).size_bytes == len(content)


def test_a_layer_that_is_listed_twice_is_counted_once(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "image.tar", Image(layers=[LAYER, LAYER]))
    assert inspect_archive(path).size_bytes == len(LAYER)


def test_a_layer_larger_than_octal_digits_can_say() -> None:
    size = 9 << 30
    read = tarfile.TarInfo.frombuf(tar.header("0.tar", size), "utf-8", "strict")
    assert (read.name, read.size, read.mode) == ("0.tar", size, 0o644)


def test_headers_that_other_tools_write_are_read_as_they_mean_them(tmp_path: Path) -> None:
    """Long names, in GNU's way and POSIX's, and sizes, in octal and binary."""
    name = "a" * 90 + "/" + "b" * 200
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for content in image_with(LAYER)[:2]:
                info = tarfile.TarInfo(content[0] if content[0] != "l.tar" else name)
                info.size, info.uid = len(content[1]), 1 << 40
                archive.addfile(info, io.BytesIO(content[1]))
            manifest = json.dumps([{"Config": "c.json", "Layers": [name]}]).encode()
            info = tarfile.TarInfo("manifest.json")
            info.size = len(manifest)
            archive.addfile(info, io.BytesIO(manifest))
        (tmp_path / "image.tar").write_bytes(buffer.getvalue())
        assert inspect_archive(tmp_path / "image.tar").image_id == digest_of(IMAGE.config)
        assert LAYER in b"".join(clean_archive(tmp_path / "image.tar"))
