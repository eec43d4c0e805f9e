"""Every form in which tools write an image: what is accepted, as one image, and what is told apart."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from protocols.contract import Phase
from protocols.errors import ParticipantError
from sandbox.archive import ImageInfo, clean_archive, inspect_archive
from tests.sandbox.archives import (
    AMD64,
    FORMS,
    INDEX_TYPE,
    MANIFEST_TYPE,
    PACKINGS,
    UNKNOWN,
    Form,
    Image,
    Layout,
    Packing,
    as_json,
    blob_name,
    index_of,
    layer,
    members_of,
    packed,
    write_members,
)

LAYERS = [layer({"detector.py": "pass"}), layer({"weights": "0123456789abcdef" * 5000})]
IMAGE = Image(layers=LAYERS)
INFO = ImageInfo(IMAGE.image_id, (Phase.TRAIN, Phase.PREDICT), sum(map(len, LAYERS)), IMAGE.command)


def refusal(path: Path, members: list[tuple[str, bytes]]) -> ParticipantError:
    with pytest.raises(ParticipantError) as caught:
        inspect_archive(write_members(path / "image.tar", members))
    return caught.value


@pytest.mark.parametrize("outer", PACKINGS)
@pytest.mark.parametrize("inner", PACKINGS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_image(tmp_path: Path, form: Form, inner: Packing, outer: Packing) -> None:
    path = write_members(tmp_path / "image.tar", members_of(IMAGE, form, inner), outer)
    assert inspect_archive(path) == INFO


@pytest.mark.parametrize("form", FORMS)
def test_the_clean_archive_of_every_form_is_the_same(tmp_path: Path, form: Form) -> None:
    path = write_members(tmp_path / "image.tar", members_of(IMAGE, form, "zstd"), "gzip")
    clean = tmp_path / "clean.tar"
    clean.write_bytes(b"".join(clean_archive(path)))
    assert inspect_archive(clean) == INFO
    with tarfile.open(clean) as archive:
        contents = {member.name: archive.extractfile(member) for member in archive}
        read = {name: file.read() for name, file in contents.items() if file}
    config_name = IMAGE.image_id.removeprefix("sha256:") + ".json"
    assert json.loads(read.pop("manifest.json")) == [
        {"Config": config_name, "RepoTags": None, "Layers": ["0.tar", "1.tar"]}
    ]
    assert read == {config_name: IMAGE.config, "0.tar": LAYERS[0], "1.tar": LAYERS[1]}


def test_an_archive_may_be_split_into_many_compressed_pieces(tmp_path: Path) -> None:
    """As ``zstd:chunked``, ``pzstd``, ``pigz`` and eStargz write, with skippable frames in between."""
    halves = [LAYERS[1][:30_000], LAYERS[1][30_000:]]
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    for pieces in (
        b"".join(map(gzip.compress, halves)),
        zstd.compress(halves[0]) + skippable + zstd.compress(halves[1]) + skippable,
        skippable + zstd.compress(LAYERS[1]),
    ):
        image = Image(layers=[LAYERS[1]])
        config_name = "c.json"
        manifest = [{"Config": config_name, "Layers": ["l"]}]
        members = [as_json("manifest.json", manifest), (config_name, image.config), ("l", pieces)]
        path = write_members(tmp_path / "image.tar", members)
        assert inspect_archive(path).size_bytes == len(LAYERS[1])
        assert LAYERS[1] in b"".join(clean_archive(path))


def test_attestations_are_no_images(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.add_image(IMAGE, "gzip", platform=AMD64)
    members = layout.members(layout.add_index(image, layout.add_attestation(image)))
    assert inspect_archive(write_members(tmp_path / "image.tar", members)) == INFO


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_an_index_in_an_index(tmp_path: Path, depth: int) -> None:
    layout = Layout()
    descriptor = layout.add_image(IMAGE)
    for _ in range(depth):
        descriptor = layout.add_index(descriptor)
    assert inspect_archive(write_members(tmp_path / "image.tar", layout.members(descriptor))) == INFO


def test_platforms_that_were_not_saved_do_not_count(tmp_path: Path) -> None:
    """Docker with containerd's store saves the whole index and the blobs of one platform."""
    layout, elsewhere = Layout(), Layout()
    arm = elsewhere.add_image(Image(architecture="arm64"), platform={"os": "linux", "architecture": "arm64"})
    index = layout.add_index(arm, layout.add_image(IMAGE, platform=AMD64))
    assert inspect_archive(write_members(tmp_path / "image.tar", layout.members(index))) == INFO


def test_one_image_under_two_names_is_one_image(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.add_image(IMAGE)
    named = [image | {"annotations": {"org.opencontainers.image.ref.name": name}} for name in ("a", "b")]
    assert inspect_archive(write_members(tmp_path / "image.tar", layout.members(*named))) == INFO


def test_two_platforms_are_refused_by_their_names(tmp_path: Path) -> None:
    layout = Layout()
    arm = Image(architecture="arm64")
    platforms = [AMD64, {"os": "linux", "architecture": "arm64", "variant": "v8"}]
    images = [
        layout.add_image(image, platform=platform)
        for image, platform in zip((IMAGE, arm), platforms, strict=True)
    ]
    error = refusal(tmp_path, layout.members(layout.add_index(*images)))
    assert error.code == "archive_images"
    assert "2 images" in error.detail
    assert "linux/amd64" in error.detail
    assert "linux/arm64/v8" in error.detail
    assert "linux/amd64 alone" in error.entry.fix


def test_another_platform_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, members_of(Image(architecture="arm64"), "oci"))
    assert (error.code, error.detail) == ("archive_platform", "The image is for linux/arm64.")


def test_a_signature_is_no_image(tmp_path: Path) -> None:
    layout = Layout()
    config = layout.add_json({}, "application/vnd.example.signature.v1+json")
    signature = layout.add_json({"config": config, "layers": []}, MANIFEST_TYPE)
    assert refusal(tmp_path, layout.members(signature)).code == "archive_images"
    assert (
        inspect_archive(
            write_members(tmp_path / "image.tar", layout.members(signature, layout.add_image(IMAGE)))
        )
        == INFO
    )


def test_an_archive_that_says_two_things(tmp_path: Path) -> None:
    other = Image(layers=[LAYERS[0]])
    members = members_of(IMAGE, "docker") + members_of(other, "oci")
    assert refusal(tmp_path, members).code == "archive_images"


def changed(members: list[tuple[str, bytes]], name: str, content: bytes | None) -> list[tuple[str, bytes]]:
    """The members with another content for one of them, or without it."""
    kept = [member for member in members if member[0] != name]
    return kept if content is None else [*kept, (name, content)]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("oci-layout", None, "archive_unreadable"),
        ("oci-layout", b"[]", "archive_unreadable"),
        ("index.json", None, "archive_unreadable"),
        ("index.json", b"{}", "archive_unreadable"),
        ("index.json", b'{"manifests": [7]}', "archive_unreadable"),
        ("index.json", b'{"manifests": []}', "archive_images"),
        ("index.json", b'{"manifests": [{"digest": "md5:00"}]}', "archive_digest"),
        ("index.json", b'{"manifests": [{"digest": ["sha256:00"]}]}', "archive_digest"),
        (
            "index.json",
            b'{"manifests": [{"digest": "sha256:%s", "size": 1}]}' % (b"0" * 64),
            "archive_unreadable",
        ),
        (blob_name(IMAGE.config), None, "archive_unreadable"),
        (blob_name(IMAGE.config), b"{}", "archive_digest"),
        (blob_name(LAYERS[1]), None, "archive_unreadable"),
        (blob_name(LAYERS[1]), LAYERS[0], "archive_digest"),
    ],
)
def test_layouts_that_are_refused(tmp_path: Path, name: str, content: bytes | None, code: str) -> None:
    assert refusal(tmp_path, changed(members_of(IMAGE, "oci"), name, content)).code == code


def lying(**lie: object) -> list[tuple[str, bytes]]:
    """A layout whose manifest lies about its first layer."""
    layout = Layout()
    manifest = json.loads(layout.blobs[blob_of(layout.add_image(IMAGE))])
    manifest["layers"][0] |= lie
    return layout.members(layout.add_json(manifest, MANIFEST_TYPE))


def blob_of(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


@pytest.mark.parametrize("size", [0, 1, -1, 1 << 62, 10**400, True, None, "10240", 10240.0, [10240]])
def test_descriptors_that_lie_about_a_size(tmp_path: Path, size: object) -> None:
    error = refusal(tmp_path, lying(size=size))
    assert error.code == "archive_digest"
    assert len(error.detail) < 300


def test_a_descriptor_of_another_layer(tmp_path: Path) -> None:
    # Its size is right; what the config says of the first layer is not what is there.
    error = refusal(tmp_path, lying(digest=blob_digest(LAYERS[1]), size=len(LAYERS[1])))
    assert error.code == "archive_digest"
    assert "Layer 0" in error.detail


def blob_digest(content: bytes) -> str:
    return blob_name(content).removeprefix("blobs/").replace("/", ":")


def test_a_named_blob_of_a_docker_archive_is_what_its_name_says(tmp_path: Path) -> None:
    members = dict(members_of(IMAGE, "both", "gzip"))
    name = blob_name(packed(LAYERS[1], "gzip"))
    del members["index.json"], members["oci-layout"]
    # The same layer packed otherwise: the config is content with it, the name is not.
    members[name] = gzip.compress(LAYERS[1], 9, mtime=1)
    assert refusal(tmp_path, list(members.items())).code == "archive_digest"


def test_an_index_that_leads_on_and_on(tmp_path: Path) -> None:
    layout = Layout()
    descriptors = [layout.add_image(IMAGE)] * 15
    for _ in range(4):
        descriptors = [layout.add_index(*descriptors)] * 15
    assert refusal(tmp_path, layout.members(*descriptors)).code == "archive_images"


def test_an_index_that_leads_to_itself(tmp_path: Path) -> None:
    # No digest can be its own, but a name can lead anywhere.
    descriptor = {"mediaType": INDEX_TYPE, "digest": "sha256:" + "0" * 64, "size": 7}
    buffer = io.BytesIO()
    members = Layout().members(descriptor)
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("blobs/sha256/" + "0" * 64)
        link.type, link.linkname = tarfile.SYMTYPE, "../../index.json"
        archive.addfile(link)
    (tmp_path / "image.tar").write_bytes(buffer.getvalue())
    with pytest.raises(ParticipantError) as caught:
        inspect_archive(tmp_path / "image.tar")
    assert caught.value.code == "archive_digest"


def test_nothing_of_environment_and_history_is_handed_on(tmp_path: Path) -> None:
    image = Image(
        layers=LAYERS,
        settings={"Env": ["HF_TOKEN=hf_secret"], "Cmd": ["--key=hf_secret"]},
        labels=IMAGE.labels | {"build.args": "hf_secret"},
        history=[{"created_by": "ARG TOKEN=hf_secret"}, {"comment": "hf_secret"}],
    )
    for form in FORMS:
        info = inspect_archive(write_members(tmp_path / "image.tar", members_of(image, form)))
        assert info == ImageInfo(image.image_id, INFO.phases, INFO.size_bytes, INFO.entrypoint)
        assert "hf_secret" not in repr(info)


def test_no_refusal_shows_environment_and_history(tmp_path: Path) -> None:
    secrets: dict[str, Any] = {
        "settings": {"Env": ["HF_TOKEN=hf_secret"]},
        "history": [{"created_by": "ARG TOKEN=hf_secret"}],
    }
    for image in (
        Image(**secrets, architecture="arm64"),
        Image(**secrets, labels={}),
        Image(**secrets, entrypoint=None),
        Image(**secrets, diff_ids=["sha256:" + "0" * 64]),
    ):
        error = refusal(tmp_path, members_of(image, "oci"))
        assert "hf_secret" not in f"{error!r} {error.detail} {error.entry}"


def test_hostile_texts_do_not_get_into_messages(tmp_path: Path) -> None:
    """A message goes into a database and onto a terminal, so no NUL, surrogate or colour may be in it."""
    evil = "\x00\ud800\x1b[31m" + "x" * 10**6
    layout = Layout()
    image = layout.add_image(IMAGE, platform={"os": evil, "architecture": [evil]})
    other = layout.add_image(Image(architecture=evil), platform=UNKNOWN | {"variant": evil})
    for members in (
        layout.members(image, other),
        members_of(Image(architecture=evil)),
        [as_json("manifest.json", [{"Config": evil, "Layers": [evil]}])],
        [as_json("index.json", index_of({"digest": evil})), as_json("oci-layout", {})],
    ):
        detail = refusal(tmp_path, members).detail
        assert len(detail.encode()) < 500
        assert detail.isprintable()
