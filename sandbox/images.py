"""Bringing a checked image into the worker's engine, and nothing but that image."""

from __future__ import annotations

from pathlib import Path

from docker.client import DockerClient
from docker.errors import ImageNotFound

from protocols.errors import ParticipantError, PlatformError
from sandbox.archive import clean_archive
from sandbox.engine import engine_errors


def ensure_image(client: DockerClient, archive: Path, image_id: str) -> None:
    """Make sure that the engine has the image ``image_id`` ("sha256:…", the digest of its config).

    It is loaded from ``archive``, which ``inspect_archive`` has passed, if the engine lacks it. The
    image gets no name, so no other image loses one. Raises ``PlatformError``: image_digest when
    the engine ends up with another image, engine_error or engine_unavailable.
    """
    with engine_errors():
        if has_image(client, image_id):
            return
        try:
            for report in client.api.load_image(clean_archive(archive)):
                if "error" in report:
                    raise PlatformError("engine_error", f"The engine can't load the image: {report['error']}")
        except ParticipantError as error:
            # It could be read when it was checked.
            raise PlatformError("staging_failed", f"{archive.name} was damaged: {error.detail}") from error
        if not has_image(client, image_id):
            raise PlatformError(
                "image_digest",
                f"After loading {archive.name} the engine has no image {image_id}. "
                "Docker's containerd image store numbers images otherwise and has to be turned off.",
            )


def has_image(client: DockerClient, image_id: str) -> bool:
    """Whether the engine has exactly this image."""
    try:
        found: str = client.api.inspect_image(image_id)["Id"]
    except ImageNotFound:
        return False
    return found == image_id
