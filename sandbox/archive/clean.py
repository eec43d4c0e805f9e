"""Writing a checked image anew, in the one form that every engine loads, and nothing but the image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sandbox.archive import tar
from sandbox.archive.contents import normal, opened, read_contents
from sandbox.archive.find import DOCKER_MANIFEST, find_image
from sandbox.archive.stream import Stream, unpacked


def clean_archive(path: Path) -> Iterator[bytes]:
    """A docker-archive of the image in a checked archive of any form, as chunks: no name, nothing else.

    An engine that loads the original would give the image whatever names it claims, even names
    that other images bear; and Docker before 25 knows no other form. Layers are uncompressed.
    """
    image = find_image(read_contents(path))
    config_name = image.config_digest.removeprefix("sha256:") + ".json"
    blobs = dict.fromkeys(image.layers)
    names = {blob.name: f"{index}.tar" for index, blob in enumerate(blobs)}
    sizes = {blob.name: blob.layer.size_bytes if blob.layer else blob.size_bytes for blob in blobs}
    layers = [names[blob.name] for blob in image.layers]
    manifest = [{"Config": config_name, "RepoTags": None, "Layers": layers}]
    yield from _member(DOCKER_MANIFEST, json.dumps(manifest).encode())
    yield from _member(config_name, image.config)
    with opened(path) as (stream, limits):
        for entry in tar.entries(stream, limits.headers):
            name = normal(entry.name)
            if entry.kind != tar.FILE or name not in names:
                continue
            yield tar.header(names[name], sizes[name])
            yield from unpacked(Stream(stream.exactly(entry.size)), limits.layers, limits.frames)
            yield tar.padding(sizes[name])
    yield bytes(2 * tar.BLOCK)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield tar.header(name, len(content))
    yield content
    yield tar.padding(len(content))
