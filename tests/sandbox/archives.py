"""Image archives made by hand, right and wrong in any way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LABELS = {"io.tidemark.contract": "1", "io.tidemark.phases": "train,predict"}


def layer(files: Mapping[str, str]) -> bytes:
    """A tar with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            add_file(archive, name, content.encode())
    return buffer.getvalue()


def add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def add_special(archive: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    archive.addfile(info)


@dataclass
class Image:
    layers: list[bytes] = field(default_factory=lambda: [layer({"detector.py": "pass"})])
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    entrypoint: list[str] | None = field(default_factory=lambda: ["python3", "/detector.py"])
    architecture: str = "amd64"
    settings: dict[str, Any] = field(default_factory=dict)
    diff_ids: list[str] | None = None

    @property
    def config(self) -> bytes:
        diff_ids = self.diff_ids or [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in self.layers]
        return json.dumps(
            {
                "architecture": self.architecture,
                "os": "linux",
                "created": "2026-01-02T03:04:05Z",
                "config": {"Entrypoint": self.entrypoint, "Labels": self.labels, **self.settings},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created": "2026-01-02T03:04:05Z"} for _ in self.layers],
            }
        ).encode()

    @property
    def image_id(self) -> str:
        return f"sha256:{hashlib.sha256(self.config).hexdigest()}"


def write_archive(
    path: Path,
    image: Image,
    *,
    tags: list[str] | None = None,
    zipped: bool = False,
    config_name: str | None = None,
    swapped_layer: bytes | None = None,
) -> Path:
    """Write ``image`` as ``docker save`` would; ``swapped_layer`` stands in for its first."""
    config_name = config_name or image.image_id.removeprefix("sha256:") + ".json"
    layers = [swapped_layer or image.layers[0], *image.layers[1:]]
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": tags, "Layers": names}]
    with tarfile.open(path, "w") as archive:
        for name, content in zip(names, layers, strict=True):
            add_file(archive, name, content)
        add_file(archive, config_name, image.config)
        add_file(archive, "manifest.json", json.dumps(manifest).encode())
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return path
