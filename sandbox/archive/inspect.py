"""Judging the image of an archive by the contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols.contract import LABEL_CONTRACT, LABEL_PHASES, VERSION, Phase
from protocols.errors import ParticipantError
from sandbox.archive.bounds import MAX_BYTES, Meter
from sandbox.archive.contents import Layer, read_contents
from sandbox.archive.find import Image, find_image, json_object, printable

# A detector that never learns has the second form.
PHASES = {
    "train,predict": (Phase.TRAIN, Phase.PREDICT),
    "predict": (Phase.PREDICT,),
}


@dataclass(frozen=True)
class ImageInfo:
    """What an archive holds: ``image_id`` is the digest of its config, ``size_bytes`` that of
    its layers, uncompressed and each counted once.

    Nothing else of the config is handed on: environment, history and labels may hold what their
    author would not show.
    """

    image_id: str
    phases: tuple[Phase, ...]
    size_bytes: int
    entrypoint: tuple[str, ...]


def inspect_archive(path: Path, *, max_bytes: int = MAX_BYTES) -> ImageInfo:
    """Read an image archive and say what is in it.

    ``max_bytes`` bounds the archive and its layers, each uncompressed. Raises ``ParticipantError``:
    archive_unreadable, _unsafe, _too_large, _bomb, _images, _digest, _platform, _entrypoint, _labels
    or _volumes.
    """
    image = find_image(read_contents(path, max_bytes))
    config = json_object(image.config, "the image's config")
    phases, entrypoint = _judge(config)
    layers = _verified_layers(image, config)
    # An engine unpacks a layer as often as the image lists it.
    meter = Meter(path.stat().st_size, max_bytes)
    for layer in layers:
        meter.count(layer.size_bytes)
    size_bytes = sum(layer.size_bytes for layer in set(layers))
    return ImageInfo(image.config_digest, phases, size_bytes, entrypoint)


def _judge(config: dict[str, Any]) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    platform = f"{printable(config.get('os'))}/{printable(config.get('architecture'))}"
    if platform != "linux/amd64":
        raise ParticipantError("archive_platform", f"The image is for {platform}.")
    settings = config.get("config") or {}
    if not isinstance(settings, dict):
        raise ParticipantError("archive_unreadable", "The image's settings are not an object.")
    if settings.get("Volumes"):
        raise ParticipantError("archive_volumes", f"The image declares {settings['Volumes']!r:.200}.")
    return _phases(settings.get("Labels")), _entrypoint(settings)


def _entrypoint(settings: dict[str, Any]) -> tuple[str, ...]:
    entrypoint = settings.get("Entrypoint")
    if not isinstance(entrypoint, list) or not entrypoint or not all(isinstance(e, str) for e in entrypoint):
        raise ParticipantError("archive_entrypoint")
    return tuple(entrypoint)


def _phases(labels: object) -> tuple[Phase, ...]:
    if not isinstance(labels, dict) or labels.get(LABEL_CONTRACT) != str(VERSION):
        raise ParticipantError("archive_labels", f"The label {LABEL_CONTRACT} is not {VERSION}.")
    phases = PHASES.get(str(labels.get(LABEL_PHASES)))
    if phases is None:
        raise ParticipantError("archive_labels", f"The label {LABEL_PHASES} is none of: {'; '.join(PHASES)}.")
    return phases


def _verified_layers(image: Image, config: dict[str, Any]) -> list[Layer]:
    """The layers, every one of them what the config says."""
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list):
        raise ParticipantError("archive_unreadable", "The image's config lists no layers.")
    if len(image.layers) != len(diff_ids):
        raise ParticipantError(
            "archive_digest", f"There are {len(image.layers)} layers and {len(diff_ids)} digests of layers."
        )
    layers = []
    for number, (blob, diff_id) in enumerate(zip(image.layers, diff_ids, strict=True)):
        if blob.layer is None:
            raise ParticipantError("archive_unreadable", f"Layer {number} is no tar.")
        if blob.layer.diff_id != diff_id:
            raise ParticipantError(
                "archive_digest", f"Layer {number} is {blob.layer.diff_id}, not {diff_id!r:.100}."
            )
        layers.append(blob.layer)
    return layers
