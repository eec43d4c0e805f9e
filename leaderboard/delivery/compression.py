"""gzip for what is text and long enough to gain by it."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.text import compress_string

# Below this an answer fits the first packets anyway.
MIN_BYTES = 1024
TEXT = (
    "text/",
    "application/json",
    "application/problem+json",
    "application/xml",
    "application/atom+xml",
    "application/javascript",
    "application/vnd.oai.openapi",
    "image/svg+xml",
)
# Against BREACH (Gluck, Harris and Prado 2013) an answer that may hold a secret beside something that a
# stranger chose gets a name of random length into its gzip header, as Django's own middleware does.
PADDING_BYTES = 100


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` header names gzip with a weight above 0."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            try:
                return float(weight.partition("=")[2] or 1) > 0
            except ValueError:
                return False
    return False


def is_compressible(response: HttpResponse) -> bool:
    """Whether it is text of some length that nobody has encoded yet."""
    return (
        response.headers.get("Content-Type", "").startswith(TEXT)
        and "Content-Encoding" not in response.headers
        and len(response.content) >= MIN_BYTES
    )


def compress(response: HttpResponse, accept_encoding: str) -> None:
    """Compress a compressible answer in place, where its reader accepts that."""
    if not accepts_gzip(accept_encoding):
        return
    response.content = compress_string(response.content, max_random_bytes=PADDING_BYTES)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.content))
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        # The bytes differ from those of the plain answer; what they say does not.
        response.headers["ETag"] = f"W/{etag}"
