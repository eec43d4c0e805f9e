"""Image archives as uploads bring them; what real engines save is in ``tests/sandbox/test_images.py``."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.contract import Phase
from protocols.errors import CATALOGUE, ParticipantError
from sandbox.archive import ImageInfo, clean_archive, inspect_archive
from sandbox.archive import bounds as archives
from tests.sandbox.archives import LABELS, Image, add_file, add_special, layer, write_archive

IMAGE = Image()
LAYER = IMAGE.layers[0]


def code_of(path: Path, **options: int) -> str:
    with pytest.raises(ParticipantError) as refusal:
        inspect_archive(path, **options)
    return refusal.value.code


def appended(path: Path, *change: Callable[[tarfile.TarFile], None]) -> Path:
    write_archive(path, IMAGE)
    with tarfile.open(path, "a") as archive:
        for step in change:
            step(archive)
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_in_an_archive(tmp_path: Path, zipped: bool) -> None:
    path = write_archive(tmp_path / "image.tar", IMAGE, zipped=zipped, tags=["me/detector:latest"])
    assert inspect_archive(path) == ImageInfo(
        image_id=IMAGE.image_id,
        phases=(Phase.TRAIN, Phase.PREDICT),
        size_bytes=len(LAYER),
        entrypoint=("python3", "/detector.py"),
    )


def test_a_detector_that_only_predicts(tmp_path: Path) -> None:
    image = Image(labels={**LABELS, "io.tidemark.phases": "predict"})
    assert inspect_archive(write_archive(tmp_path / "image.tar", image)).phases == (Phase.PREDICT,)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (Image(architecture="arm64"), "archive_platform"),
        (Image(architecture=""), "archive_platform"),
        (Image(entrypoint=None), "archive_entrypoint"),
        (Image(entrypoint=[]), "archive_entrypoint"),
        (Image(entrypoint=[1, 2]), "archive_entrypoint"),  # type: ignore[list-item]
        (Image(labels={}), "archive_labels"),
        (Image(settings={"Labels": None}), "archive_labels"),
        (Image(settings={"Labels": ["io.tidemark.contract=1"]}), "archive_labels"),
        (Image(labels={**LABELS, "io.tidemark.contract": "2"}), "archive_labels"),
        (Image(labels={"io.tidemark.contract": "1"}), "archive_labels"),
        (Image(labels={**LABELS, "io.tidemark.phases": "train"}), "archive_labels"),
        (Image(labels={**LABELS, "io.tidemark.phases": "predict,train"}), "archive_labels"),
        (Image(labels={**LABELS, "io.tidemark.phases": ["predict"]}), "archive_labels"),  # type: ignore[dict-item]
        (Image(settings={"Volumes": {"/data": {}}}), "archive_volumes"),
        (Image(diff_ids=["sha256:" + "0" * 64]), "archive_digest"),
        (Image(diff_ids=[]), "archive_digest"),
        (
            Image(layers=[LAYER, LAYER], diff_ids=[f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]),
            "archive_digest",
        ),
        (Image(layers=[]), "archive_unreadable"),
    ],
)
def test_images_that_are_refused(tmp_path: Path, image: Image, code: str) -> None:
    if image.layers:
        path = write_archive(tmp_path / "image.tar", image)
    else:
        path = written(
            tmp_path, manifest=[{"Config": "c.json", "Layers": []}], files={"c.json": image.config}
        )
    if image.diff_ids == []:
        # The helper fills in what is missing, so it has to be taken out again.
        config = json.loads(IMAGE.config)
        config["rootfs"]["diff_ids"] = []
        path = written(tmp_path, files={"c.json": json.dumps(config).encode(), "l.tar": LAYER})
    assert code_of(path) == code


DEFAULT_MANIFEST = [{"Config": "c.json", "RepoTags": None, "Layers": ["l.tar"]}]


def written(
    folder: Path, *, manifest: object = DEFAULT_MANIFEST, files: dict[str, bytes] | None = None
) -> Path:
    """An archive with this manifest and these files."""
    path = folder / "written.tar"
    with tarfile.open(path, "w") as archive:
        if manifest is not None:
            add_file(
                archive,
                "manifest.json",
                manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode(),
            )
        for name, content in (files or {"c.json": IMAGE.config, "l.tar": LAYER}).items():
            add_file(archive, name, content)
    return path


def test_names_that_are_no_digests_are_fine(tmp_path: Path) -> None:
    assert inspect_archive(written(tmp_path)).image_id == IMAGE.image_id


def test_layers_may_be_gzipped(tmp_path: Path) -> None:
    path = written(tmp_path, files={"c.json": IMAGE.config, "l.tar": gzip.compress(LAYER)})
    assert inspect_archive(path).size_bytes == len(LAYER)


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (None, "archive_unreadable"),
        (b"not json", "archive_unreadable"),
        (b"[" * 100_000, "archive_unreadable"),
        (b"\xff", "archive_unreadable"),
        ({}, "archive_images"),
        ([], "archive_images"),
        ([None], "archive_images"),
        (DEFAULT_MANIFEST * 2, "archive_images"),
        ([{"Config": "c.json"}], "archive_unreadable"),
        ([{"Config": "c.json", "Layers": ["missing.tar"]}], "archive_unreadable"),
        ([{"Config": "missing.json", "Layers": ["l.tar"]}], "archive_unreadable"),
        ([{"Config": 7, "Layers": ["l.tar"]}], "archive_unreadable"),
        ([{"Config": "c.json", "Layers": [["l.tar"]]}], "archive_unreadable"),
        ([{"Config": "../c.json", "Layers": ["l.tar"]}], "archive_unreadable"),
        ([{"Config": "l.tar", "Layers": ["l.tar"]}], "archive_unreadable"),
        ([{"Config": "c.json", "Layers": ["l.tar"] * (archives.MAX_LAYERS + 1)}], "archive_unreadable"),
    ],
)
def test_manifests_that_are_refused(tmp_path: Path, manifest: object, code: str) -> None:
    assert code_of(written(tmp_path, manifest=manifest)) == code


@pytest.mark.parametrize(
    "config", [b"[]", b"7", b"{}", b'{"os": "linux", "architecture": "amd64", "config": 7}']
)
def test_configs_that_are_refused(tmp_path: Path, config: bytes) -> None:
    assert code_of(written(tmp_path, files={"c.json": config, "l.tar": LAYER})) in (
        "archive_unreadable",
        "archive_platform",
    )


def test_a_config_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "image.tar", IMAGE, config_name="0" * 64 + ".json")
    assert code_of(path) == "archive_digest"


def test_a_layer_that_was_changed(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "image.tar", IMAGE, swapped_layer=layer({"detector.py": "evil"}))
    assert code_of(path) == "archive_digest"


@pytest.mark.parametrize(
    "change",
    [
        lambda a: add_special(a, "link", tarfile.SYMTYPE, "/etc/passwd"),
        lambda a: add_special(a, "link", tarfile.SYMTYPE, "../outside"),
        lambda a: add_special(a, "a/b/link", tarfile.SYMTYPE, "../../../outside"),
        lambda a: add_special(a, "link", tarfile.SYMTYPE, "nowhere"),
        lambda a: add_special(a, "link", tarfile.SYMTYPE, "link"),
        lambda a: add_special(a, "hard", tarfile.LNKTYPE, "manifest.json"),
        lambda a: add_special(a, "pipe", tarfile.FIFOTYPE),
        lambda a: add_special(a, "device", tarfile.CHRTYPE),
        lambda a: add_special(a, "disk", tarfile.BLKTYPE),
        lambda a: add_file(a, "../outside", b""),
        lambda a: add_file(a, "/absolute", b""),
        lambda a: add_file(a, "manifest.json", b"[]"),
        lambda a: add_file(a, "./x/../manifest.json", b"[]"),
        lambda a: add_special(a, "manifest.json", tarfile.SYMTYPE, "0/layer.tar"),
    ],
)
def test_members_that_no_image_needs(tmp_path: Path, change: Callable[[tarfile.TarFile], None]) -> None:
    assert code_of(appended(tmp_path / "image.tar", change)) == "archive_unsafe"


def test_links_to_layers_are_what_engines_make(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["old/layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        add_special(archive, "old", tarfile.DIRTYPE)
        add_special(archive, "old/layer.tar", tarfile.SYMTYPE, "../l.tar")
        for name, content in (
            ("l.tar", LAYER),
            ("c.json", IMAGE.config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            add_file(archive, name, content)
    assert inspect_archive(path).image_id == IMAGE.image_id


def test_a_sparse_member(tmp_path: Path) -> None:
    def sparse(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("sparse")
        info.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.map": "0,1",
            "GNU.sparse.size": "9",
        }
        archive.addfile(info)

    assert code_of(appended(tmp_path / "image.tar", sparse)) == "archive_unsafe"


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8b\x08\x00rubbish", bytes(10_240), b"x" * 5000]
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert code_of(tmp_path / "file") == "archive_unreadable"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_an_upload_that_was_cut_short(tmp_path: Path, share: float, zipped: bool) -> None:
    image = Image(layers=[layer({"weights": "0123456789abcdef" * 5000})])
    path = write_archive(tmp_path / "image.tar", image, zipped=zipped)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    assert code_of(path) in ("archive_unreadable", "archive_digest")


def test_more_than_the_server_accepts(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "image.tar", Image(layers=[layer({"zeros": "0" * 10**6})]), zipped=True)
    assert path.stat().st_size < 10**5
    assert code_of(path, max_bytes=10**6) == "archive_too_large"
    assert inspect_archive(path, max_bytes=2 * 10**6).size_bytes > 10**6


def claimed(path: Path, kind: bytes, size: int, content: bytes = b"") -> Path:
    """An archive that begins with a member of any kind that claims any size."""
    info = tarfile.TarInfo("claim")
    info.type, info.size = kind, size
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + content + bytes(10_240))
    return path


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_that_would_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    assert code_of(claimed(tmp_path / "image.tar", kind, 1 << 40)) == "archive_unsafe"


def test_a_member_larger_than_the_file(tmp_path: Path) -> None:
    assert code_of(claimed(tmp_path / "image.tar", tarfile.REGTYPE, 1 << 60)) == "archive_unreadable"
    assert code_of(claimed(tmp_path / "image.tar", tarfile.REGTYPE, 1 << 30)) == "archive_unreadable"


def test_a_negative_size(tmp_path: Path) -> None:
    assert code_of(claimed(tmp_path / "image.tar", tarfile.REGTYPE, -512)) in (
        "archive_unreadable",
        "archive_unsafe",
    )


def test_a_header_made_to_take_for_ever(tmp_path: Path) -> None:
    content = b"1" * archives.MAX_HEADER_BYTES
    path = claimed(tmp_path / "image.tar", tarfile.XHDTYPE, len(content), content)
    started = time.process_time()
    assert code_of(path) in ("archive_unreadable", "archive_unsafe")
    assert time.process_time() - started < 5


def test_headers_nested_without_end(tmp_path: Path) -> None:
    info = tarfile.TarInfo("nested")
    info.type, info.size = tarfile.XHDTYPE, 0
    (tmp_path / "image.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) * 5000 + bytes(10_240))
    assert code_of(tmp_path / "image.tar") == "archive_unreadable"


def test_the_clean_archive_has_the_same_image_and_nothing_else(tmp_path: Path) -> None:
    same = layer({"b": "b"})
    image = Image(layers=[LAYER, same, layer({"c": "c"}), same])
    path = write_archive(tmp_path / "image.tar", image, tags=["debian:12"], zipped=True)
    clean = b"".join(clean_archive(path))
    (tmp_path / "clean.tar").write_bytes(clean)
    assert inspect_archive(tmp_path / "clean.tar") == inspect_archive(path)
    with tarfile.open(fileobj=io.BytesIO(clean)) as archive:
        names = archive.getnames()
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest) == [
            {
                "Config": image.image_id.removeprefix("sha256:") + ".json",
                "RepoTags": None,
                "Layers": ["0.tar", "1.tar", "2.tar", "3.tar"],
            }
        ]
    assert len(names) == 6
    assert not re.search(rb"debian", clean)


def test_every_code_of_archives_is_tested() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in CATALOGUE if code.startswith("archive_") and f'"{code}"' not in text] == []
