"""Images are built once, on every engine, and saved as what participants upload."""

from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path

import pytest

from local import images
from local.images import ensure_detector, save
from local.wheels import ensure_wheels
from tests.engines import Running


@pytest.mark.container
def test_an_unchanged_detector_is_not_built_again(engine: Running) -> None:
    reference = ensure_detector(engine.engine, "constant")
    image_id = engine.client.api.inspect_image(reference)["Id"]
    said: list[str] = []
    started = time.monotonic()
    assert ensure_detector(engine.engine, "constant", said.append) == reference
    assert said == []
    # A second on a quiet machine is 0.2.
    assert time.monotonic() - started < 10
    assert engine.client.api.inspect_image(reference)["Id"] == image_id


@pytest.mark.container
def test_an_archive_is_written_once_and_holds_one_image(podman: Running, tmp_path: Path) -> None:
    reference = ensure_detector(podman.engine, "constant")
    path = tmp_path / "archives" / "constant.tar"
    save(podman.engine, reference, path)
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert "manifest.json" in names
    assert [file.name for file in path.parent.iterdir()] == ["constant.tar"]
    os.utime(path, (1, 1))
    save(podman.engine, reference, path)
    assert path.stat().st_mtime == 1


def test_a_recipe_changes_with_names_contents_and_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "DOCKER", tmp_path)
    folder = tmp_path / "detector"
    folder.mkdir()
    (folder / "main.py").write_text("one")
    recipes = [images._recipe([folder], "base")]
    (folder / "main.py").write_text("two")
    recipes.append(images._recipe([folder], "base"))
    (folder / "main.py").rename(folder / "other.py")
    recipes.append(images._recipe([folder], "base"))
    recipes.append(images._recipe([folder], "another base"))
    assert len(set(recipes)) == 4
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "other.cpython-311.pyc").write_bytes(b"compiled")
    assert images._recipe([folder], "another base") == recipes[-1]


def test_wheels_are_fetched_once(tmp_path: Path) -> None:
    said: list[str] = []
    wheels = ensure_wheels(tmp_path, ["flit_core>=3.11,<5"], said.append)
    assert [wheel.suffix for wheel in wheels.iterdir()] == [".whl"]
    assert ensure_wheels(tmp_path, ["flit_core>=3.11,<5"], said.append) == wheels
    assert len(said) == 1


def test_a_wheel_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match=r"is a package index reachable\?[\s\S]*no-such-package"):
        ensure_wheels(tmp_path, ["no-such-package==1"], lambda _: None)
    assert list(tmp_path.iterdir()) == []
