"""The words of tus 1.0.0 in a request's headers (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from rest_framework.request import Request

from leaderboard.services.uploads import ALGORITHMS, Checksum
from protocols.errors import RequestError

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
BODY_TYPE = "application/offset+octet-stream"
# More digits than any file size has.
MAX_DIGITS = 20
MAX_METADATA = 4096


def number(request: Request, name: str) -> int:
    """A header that is a whole number of bytes."""
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise RequestError("invalid", f"The header {name} is missing or no whole number of bytes.")
    return int(text)


def body_size(request: Request) -> int:
    """How many bytes the body has."""
    if "Transfer-Encoding" in request.headers:
        # Without a length nothing of the body would be read, and the client would not know.
        raise RequestError("invalid", "Send the body with a Content-Length and not in chunks.")
    return number(request, "Content-Length") if request.headers.get("Content-Length") else 0


def metadata(request: Request) -> Mapping[str, str]:
    """What Upload-Metadata tells that this server understands: filename, filetype and team.

    The header has pairs of a key and a base64 value, between commas; other keys are let be.
    """
    header = request.headers.get("Upload-Metadata", "")
    if len(header) > MAX_METADATA or not (header.isascii() and header.isprintable()):
        raise RequestError("invalid", f"Upload-Metadata has at most {MAX_METADATA} printable characters.")
    found: dict[str, str] = {}
    for pair in filter(str.strip, header.split(",")):
        key, *value = pair.split()
        if key in found or len(value) > 1:
            raise RequestError("invalid", f"Upload-Metadata has no one value for {key}.")
        found[key] = _text(key, value[0]) if value and key in ("filename", "filetype", "team") else ""
    return found


def _text(key: str, encoded: str) -> str:
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise RequestError("invalid", f"The {key} in Upload-Metadata is no UTF-8 in base64.") from error
    if not text.isprintable():
        raise RequestError("invalid", f"The {key} in Upload-Metadata has control characters.")
    return text


def checksum(request: Request) -> Checksum | None:
    """What the body must hash to, if the client says so."""
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise RequestError(
            "upload_algorithm", f"The server knows the algorithms {', '.join(ALGORITHMS)} and not this one."
        )
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    expected = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(digest) != expected:
        raise RequestError("invalid", f"Upload-Checksum has no {expected} bytes in base64 after {algorithm}.")
    return Checksum(algorithm, digest)
