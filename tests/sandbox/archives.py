"""Image archives made by hand, right and wrong in any way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from backports import zstd

LABELS = {"io.tidemark.contract": "1", "io.tidemark.phases": "train,predict"}


Packing = Literal["plain", "gzip", "zstd"]
Form = Literal["docker", "oci", "both"]
PACKINGS: tuple[Packing, ...] = ("plain", "gzip", "zstd")
FORMS: tuple[Form, ...] = ("docker", "oci", "both")

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
AMD64 = {"os": "linux", "architecture": "amd64"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def packed(content: bytes, packing: Packing) -> bytes:
    if packing == "plain":
        return content
    return gzip.compress(content, 1, mtime=0) if packing == "gzip" else zstd.compress(content)


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
    history: list[dict[str, str]] | None = None

    @property
    def command(self) -> tuple[str, ...]:
        return tuple(self.entrypoint or ())

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
                "history": self.history or [{"created": "2026-01-02T03:04:05Z"} for _ in self.layers],
            }
        ).encode()

    @property
    def image_id(self) -> str:
        return digest_of(self.config)


def write_archive(
    path: Path,
    image: Image,
    *,
    tags: list[str] | None = None,
    zipped: bool = False,
    config_name: str | None = None,
    swapped_layer: bytes | None = None,
) -> Path:
    """Write ``image`` as ``docker save`` did until version 24; ``swapped_layer`` stands in for its first."""
    config_name = config_name or image.image_id.removeprefix("sha256:") + ".json"
    layers = [swapped_layer or image.layers[0], *image.layers[1:]]
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": tags, "Layers": names}]
    members = [
        *zip(names, layers, strict=True),
        (config_name, image.config),
        as_json("manifest.json", manifest),
    ]
    return write_members(path, members, "gzip" if zipped else "plain")


def as_json(name: str, value: object) -> tuple[str, bytes]:
    return name, json.dumps(value).encode()


def write_members(path: Path, members: Iterable[tuple[str, bytes]], packing: Packing = "plain") -> Path:
    """A tar of these members, compressed as a whole or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            add_file(archive, name, content)
    path.write_bytes(packed(buffer.getvalue(), packing))
    return path


class Layout:
    """An OCI image layout that grows blob by blob."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def add(self, content: bytes, media_type: str, **more: object) -> dict[str, Any]:
        """Keep a blob and return its descriptor."""
        self.blobs["blobs/" + digest_of(content).replace(":", "/")] = content
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}

    def add_json(self, value: object, media_type: str, **more: object) -> dict[str, Any]:
        return self.add(json.dumps(value).encode(), media_type, **more)

    def add_image(self, image: Image, packing: Packing = "plain", **more: object) -> dict[str, Any]:
        """The descriptor of the manifest of ``image``, whose layers are packed one by one."""
        suffix = "" if packing == "plain" else f"+{packing}"
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.add(image.config, CONFIG_TYPE),
            "layers": [self.add(packed(data, packing), LAYER_TYPE + suffix) for data in image.layers],
        }
        return self.add_json(manifest, MANIFEST_TYPE, **more)

    def add_attestation(self, subject: dict[str, Any]) -> dict[str, Any]:
        """What buildx adds beside an image."""
        config = {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers"}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.add_json(config, CONFIG_TYPE),
            "layers": [self.add_json({"predicate": {}}, "application/vnd.in-toto+json")],
        }
        marks = {
            "vnd.docker.reference.digest": subject["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        }
        return self.add_json(manifest, MANIFEST_TYPE, annotations=marks, platform=UNKNOWN)

    def add_index(self, *descriptors: dict[str, Any], **more: object) -> dict[str, Any]:
        return self.add_json(index_of(*descriptors), INDEX_TYPE, **more)

    def members(self, *descriptors: dict[str, Any]) -> list[tuple[str, bytes]]:
        """The members of a layout whose index lists these descriptors."""
        return [
            *self.blobs.items(),
            as_json("index.json", index_of(*descriptors)),
            as_json("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ]


def index_of(*descriptors: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(descriptors)}


def members_of(image: Image, form: Form = "docker", packing: Packing = "plain") -> list[tuple[str, bytes]]:
    """The members of an archive of ``image``: docker-archive, OCI layout, or both as Docker 25 writes."""
    if form == "docker":
        names = [f"{number}/layer.tar" for number in range(len(image.layers))]
        config_name = image.image_id.removeprefix("sha256:") + ".json"
        manifest = [{"Config": config_name, "RepoTags": None, "Layers": names}]
        layers = [packed(data, packing) for data in image.layers]
        return [
            *zip(names, layers, strict=True),
            (config_name, image.config),
            as_json("manifest.json", manifest),
        ]
    layout = Layout()
    members = layout.members(layout.add_image(image, packing, platform=AMD64))
    if form == "both":
        names = [blob_name(packed(data, packing)) for data in image.layers]
        manifest = [{"Config": blob_name(image.config), "RepoTags": ["me/it:1"], "Layers": names}]
        members += [as_json("manifest.json", manifest), as_json("repositories", {})]
    return members


def blob_name(content: bytes) -> str:
    return "blobs/" + digest_of(content).replace(":", "/")
