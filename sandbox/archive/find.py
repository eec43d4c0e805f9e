"""Which image an archive holds: by ``manifest.json`` (docker-archive), ``index.json`` (OCI), or both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from protocols.errors import ParticipantError
from sandbox.archive.bounds import MAX_JSON_BYTES, MAX_LAYERS
from sandbox.archive.contents import Blob, Contents

DOCKER_MANIFEST, OCI_LAYOUT, OCI_INDEX = "manifest.json", "oci-layout", "index.json"
# An index names one image, and perhaps some attestations; a server's index of many platforms, dozens.
MAX_DESCRIPTORS = 200
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")


@dataclass(frozen=True)
class Image:
    """The parts of an archive that are worth anything: found, their digests right, not yet judged."""

    config: bytes
    config_digest: str
    layers: list[Blob]


def find_image(contents: Contents) -> Image:
    """The one image of an archive.

    Raises ``ParticipantError``: archive_unreadable, _images, _digest or _too_large.
    """
    images = []
    if DOCKER_MANIFEST in contents.files:
        images.append(_docker_image(contents))
    if OCI_INDEX in contents.files and (not images or OCI_LAYOUT in contents.files):
        images.append(_oci_image(contents))
    if not images:
        raise ParticipantError(
            "archive_unreadable",
            "There is neither a manifest.json nor an index.json in the archive. "
            "Make it with `docker save` or `podman save`.",
        )
    if len({image.config_digest for image in images}) > 1:
        raise ParticipantError("archive_images", "manifest.json and index.json name two different images.")
    return images[0]


def json_object(raw: bytes, what: str) -> dict[str, Any]:
    """The object that ``raw`` holds. Raises ``ParticipantError('archive_unreadable')``."""
    value = _json(raw, what)
    if not isinstance(value, dict):
        raise ParticipantError("archive_unreadable", f"In the archive, {what} is not an object.")
    return value


def _json(raw: bytes, what: str) -> Any:
    try:
        return json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ParticipantError("archive_unreadable", f"In the archive, {what} is no JSON.") from error


def _refuse_constant(name: str) -> NoReturn:
    # NaN and Infinity are Python's own additions.
    raise ValueError(name)


def _docker_image(contents: Contents) -> Image:
    manifest = _json(_content(contents.files[DOCKER_MANIFEST]), DOCKER_MANIFEST)
    if not isinstance(manifest, list) or len(manifest) != 1 or not isinstance(manifest[0], dict):
        raise ParticipantError("archive_images")
    names = _layer_list(manifest[0].get("Layers"), DOCKER_MANIFEST)
    config = _named(contents, manifest[0].get("Config"))
    layers = {name: _named(contents, name) for name in names if isinstance(name, str)}
    if len(layers) < len(set(map(str, names))):
        raise ParticipantError("archive_unreadable", "manifest.json names a layer by no text.")
    # Configs are named by their digests everywhere, layers in blobs/ only.
    _require_name(config, str(manifest[0]["Config"]))
    for name, blob in layers.items():
        if name.startswith("blobs/"):
            _require_name(blob, name)
    return Image(_content(config), config.digest, [layers[name] for name in names])


def _named(contents: Contents, name: object) -> Blob:
    blob = contents.find(name)
    if blob is None:
        raise ParticipantError(
            "archive_unreadable", f"manifest.json names {name!r:.100}, which is not there."
        )
    return blob


def _require_name(blob: Blob, name: str) -> None:
    named = _HEX.search(name)
    if named and f"sha256:{named[0]}" != blob.digest:
        raise ParticipantError("archive_digest", f"What is named {named[0]} has the digest {blob.digest}.")


def _layer_list(layers: object, what: str) -> list[Any]:
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        raise ParticipantError("archive_unreadable", f"{what} lists no layers, or more than {MAX_LAYERS}.")
    return layers


def _content(blob: Blob) -> bytes:
    if blob.content is not None:
        return blob.content
    if blob.layer is not None:
        raise ParticipantError("archive_unreadable", f"{blob.name[:200]!r} is a layer and no JSON.")
    raise ParticipantError(
        "archive_too_large", f"{blob.name[:200]!r} has {blob.size_bytes} bytes of at most {MAX_JSON_BYTES}."
    )


def _oci_image(contents: Contents) -> Image:
    if OCI_LAYOUT not in contents.files:
        raise ParticipantError(
            "archive_unreadable", "There is an index.json in the archive, and no oci-layout."
        )
    json_object(_content(contents.files[OCI_LAYOUT]), OCI_LAYOUT)
    found = {digest: (manifest, platform) for digest, manifest, platform in _manifests(contents)}
    if len(found) != 1:
        platforms = ", ".join(platform for _, platform in found.values())
        raise ParticipantError(
            "archive_images",
            f"The archive holds {len(found)} images: {platforms}."
            if found
            else "The archive holds no image.",
        )
    ((manifest, _),) = found.values()
    config = _described(contents, manifest.get("config"))
    layers = [_described(contents, layer) for layer in _layer_list(manifest.get("layers"), "The manifest")]
    return Image(_content(config), config.digest, layers)


def _manifests(contents: Contents) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The digest, the manifest and the platform of every image that the index leads to.

    What an index names and the archive lacks doesn't count: engines save one platform of many, and
    keep the whole index. Attestations and other things beside images don't count either.
    """
    waiting = _descriptors(json_object(_content(contents.files[OCI_INDEX]), OCI_INDEX), OCI_INDEX)
    absent: object = None
    n_found = n_seen = 0
    while waiting:
        descriptor = waiting.pop()
        n_seen += 1
        if n_seen > MAX_DESCRIPTORS:
            raise ParticipantError(
                "archive_images", f"index.json leads to more than {MAX_DESCRIPTORS} images."
            )
        if _is_attestation(descriptor):
            continue
        digest = _digest(descriptor)
        if contents.find(_blob_name(digest)) is None:
            absent = digest
            continue
        blob = _described(contents, descriptor)
        value = json_object(_content(blob), "a manifest")
        if "manifests" in value:
            waiting += _descriptors(value, "an index")
        elif _is_image(value):
            n_found += 1
            yield digest, value, _platform(descriptor)
    if absent is not None and not n_found:
        raise ParticipantError("archive_unreadable", f"index.json names {absent}, which is not there.")


def _descriptors(index: dict[str, Any], what: str) -> list[dict[str, Any]]:
    descriptors = index.get("manifests")
    if not isinstance(descriptors, list) or not all(isinstance(each, dict) for each in descriptors):
        raise ParticipantError("archive_unreadable", f"In the archive, {what} lists no manifests.")
    return descriptors


def _is_attestation(descriptor: dict[str, Any]) -> bool:
    annotations = descriptor.get("annotations")
    key, value = _ATTESTATION
    marked = isinstance(annotations, dict) and annotations.get(key) == value
    return marked or _platform(descriptor) == "unknown/unknown"


def _is_image(manifest: dict[str, Any]) -> bool:
    config = manifest.get("config")
    return isinstance(config, dict) and config.get("mediaType", _CONFIG_TYPES[0]) in _CONFIG_TYPES


def _platform(descriptor: dict[str, Any]) -> str:
    platform = descriptor.get("platform")
    if not isinstance(platform, dict):
        return "one of no stated platform"
    parts = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
    return "/".join(printable(part) for part in parts if part)


def printable(value: object) -> str:
    """Something of a hostile archive, short and fit to be shown and stored anywhere."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(c if c.isprintable() else "?" for c in text[:80])


def _digest(descriptor: dict[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ParticipantError("archive_digest", f"{digest!r:.100} is no SHA-256 digest.")
    return digest


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _described(contents: Contents, descriptor: object) -> Blob:
    """The blob of a descriptor, which is right about it."""
    if not isinstance(descriptor, dict):
        raise ParticipantError("archive_unreadable", "In the archive, a descriptor is not an object.")
    digest = _digest(descriptor)
    blob = contents.find(_blob_name(digest))
    if blob is None:
        raise ParticipantError("archive_unreadable", f"A manifest names {digest}, which is not there.")
    if blob.digest != digest:
        raise ParticipantError("archive_digest", f"What is named {digest} has the digest {blob.digest}.")
    size = descriptor.get("size")
    if type(size) is not int or size != blob.size_bytes:
        raise ParticipantError(
            "archive_digest", f"{digest} has {blob.size_bytes} bytes; its descriptor says {size!r:.40}."
        )
    return blob
