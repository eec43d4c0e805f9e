"""Loading checked archives into real engines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from backports import zstd
from docker.errors import ImageNotFound

from protocols.errors import PlatformError
from sandbox.archive import inspect_archive
from sandbox.images import ensure_image
from tests.engines import ENTRYPOINT, Running
from tests.sandbox.archives import (
    FORMS,
    PACKINGS,
    Form,
    Image,
    Packing,
    digest_of,
    layer,
    members_of,
    write_archive,
    write_members,
)

pytestmark = pytest.mark.container


@pytest.fixture
def image(tmp_path: Path) -> Image:
    # Unique, so that no engine has it yet.
    return Image(layers=[layer({"name": str(tmp_path)}), layer({"other": "file"})])


def forget(engine: Running, image_id: str) -> None:
    engine.client.images.remove(image_id, force=True)


@pytest.mark.parametrize("inner", PACKINGS)
@pytest.mark.parametrize("form", FORMS)
def test_an_archive_of_any_form_becomes_the_image_that_was_checked(
    engine: Running, image: Image, tmp_path: Path, form: Form, inner: Packing
) -> None:
    outer: Packing = "zstd" if inner == "plain" else "plain"
    archive = write_members(tmp_path / "image.tar", members_of(image, form, inner), outer)
    info = inspect_archive(archive)
    try:
        ensure_image(engine.client, archive, info.image_id)
        found = engine.client.api.inspect_image(info.image_id)
        assert found["Id"] == info.image_id == image.image_id
        assert tuple(found["Config"]["Entrypoint"]) == info.entrypoint
        assert found["RootFS"]["Layers"] == [digest_of(content) for content in image.layers]
        assert not found["RepoTags"]
        # What is there is not read again.
        archive.unlink()
        ensure_image(engine.client, archive, info.image_id)
    finally:
        forget(engine, info.image_id)


def test_a_hostile_archive_takes_no_name(engine: Running, image: Image, tmp_path: Path) -> None:
    repository = "localhost/tidemark/test-victim"
    name = f"{repository}:latest"
    engine.client.images.get(engine.image_id).tag(repository, "latest")
    archive = write_archive(tmp_path / "image.tar", image, tags=[name, "docker.io/library/python:3.11"])
    try:
        ensure_image(engine.client, archive, image.image_id)
        assert engine.client.api.inspect_image(name)["Id"] == engine.image_id
        with pytest.raises(ImageNotFound):
            engine.client.images.get("docker.io/library/python:3.11")
    finally:
        forget(engine, image.image_id)
        engine.client.images.remove(name)


def test_another_image_than_the_one_checked(engine: Running, image: Image, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "image.tar", image)
    try:
        with pytest.raises(PlatformError) as refusal:
            ensure_image(engine.client, archive, "sha256:" + "0" * 64)
    finally:
        forget(engine, image.image_id)
    assert refusal.value.code == "image_digest"


def test_a_layer_that_is_not_the_configs(engine: Running, image: Image, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "image.tar", image, swapped_layer=layer({"name": "another"}))
    with pytest.raises(PlatformError) as refusal:
        ensure_image(engine.client, archive, image.image_id)
    assert refusal.value.code == "engine_error"
    with pytest.raises(ImageNotFound):
        engine.client.images.get(image.image_id)


def test_what_the_engine_saves_passes_the_check(engine: Running, tmp_path: Path) -> None:
    """``docker save`` and ``podman save`` of an image that has the same layer twice."""
    same = layer({"twice": "the same"})
    image = Image(layers=[layer({"name": str(tmp_path)}), same, layer({"between": ""}), same])
    archive = write_archive(tmp_path / "image.tar", image)
    ensure_image(engine.client, archive, image.image_id)
    saved = tmp_path / "saved.tar"
    try:
        engine.client.images.get(image.image_id).tag("localhost/tidemark/test-saved", "latest")
        with saved.open("wb") as file:
            for chunk in engine.client.api.get_image("localhost/tidemark/test-saved:latest"):
                file.write(chunk)
    finally:
        forget(engine, image.image_id)
    info = inspect_archive(saved)
    assert info.entrypoint == tuple(image.entrypoint or ())
    assert info.size_bytes == sum(map(len, set(image.layers)))
    # Podman writes another config of the same image, and so another id.
    ensure_image(engine.client, saved, info.image_id)
    forget(engine, info.image_id)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_podman_saves_passes_the_check(podman: Running, tmp_path: Path, form: str, packed: bool) -> None:
    """Both forms of ``podman save``, of an image that was built."""
    saved = tmp_path / "saved.tar"
    name = "localhost/tidemark/test-forms:latest"
    podman.client.images.get(podman.image_id).tag(name.removesuffix(":latest"), "latest")
    try:
        subprocess.run(
            ["podman", "save", "--format", form, "-o", saved, name], check=True, capture_output=True
        )
    finally:
        podman.client.images.remove(name)
    if packed:
        saved.write_bytes(zstd.compress(saved.read_bytes()))
    info = inspect_archive(saved)
    assert info.entrypoint == tuple(ENTRYPOINT)
    had = {image.id for image in podman.client.images.list(all=True)}
    ensure_image(podman.client, saved, info.image_id)
    found = podman.client.api.inspect_image(info.image_id)
    assert found["RootFS"]["Layers"] == podman.client.api.inspect_image(podman.image_id)["RootFS"]["Layers"]
    if info.image_id not in had:
        forget(podman, info.image_id)
