"""Checking an uploaded image archive before any engine sees it.

An archive is what ``docker save``, ``podman save``, ``docker buildx`` or ``skopeo`` write: a tar,
plain, gzip or zstd, with one image in it as a *docker-archive* or as an *OCI image layout*. It is read
forwards in one pass, never unpacked, and everything in it is hostile: sizes, names, types, JSON,
digests, and what its layers would do to a disk.

``stream`` unpacks, ``tar`` reads headers, ``contents`` makes the one pass within ``bounds``; ``find``
and ``inspect`` judge what it found, and ``clean`` writes the image anew for an engine.
"""

from sandbox.archive.bounds import MAX_BYTES
from sandbox.archive.clean import clean_archive
from sandbox.archive.inspect import PHASES, ImageInfo, inspect_archive

__all__ = ["MAX_BYTES", "PHASES", "ImageInfo", "clean_archive", "inspect_archive"]
