"""Pictures from the store, which strangers drew: shown as a picture and as nothing else."""

from __future__ import annotations

from django.http import FileResponse, Http404

from leaderboard.store import store

# What a picture may be: how its file begins, and where that stands.
KINDS = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"WEBP", 8, "image/webp"),
)
HEAD_BYTES = 16


def picture(key: str, *, cache_control: str) -> FileResponse:
    """The stored picture of this key. Raises ``Http404`` when it is gone or is no picture."""
    if not store().exists(key):
        raise Http404("There is no such picture.")
    file = store().path(key).open("rb")
    head = file.read(HEAD_BYTES)
    file.seek(0)
    kind = next((kind for magic, at, kind in KINDS if head[at : at + len(magic)] == magic), None)
    if kind is None:
        file.close()
        raise Http404("There is no such picture.")
    return FileResponse(
        file,
        content_type=kind,
        headers={
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Content-Disposition": "inline",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": cache_control,
            "ETag": f'"{key}"',
        },
    )
