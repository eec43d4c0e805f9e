"""A small client of the public REST API: what a script of a maintainer or a submitter would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tusclient.client import TusClient

# A restarting web process is back within seconds.
RETRIES = 5
TIMEOUT_S = 120.0
CHUNK_BYTES = 16 * 2**20

Json = dict[str, Any]


class ApiError(RuntimeError):
    """The server refused something; the message says what to do."""


class Api:
    """The API of the server at ``url``, on behalf of the owner of ``token``."""

    def __init__(self, url: str, token: str) -> None:
        self._headers = {"Authorization": f"Token {token}"}
        self._root = f"{url}/api/v1/"
        self._http = httpx.Client(
            base_url=self._root,
            headers=self._headers,
            timeout=TIMEOUT_S,
            transport=httpx.HTTPTransport(retries=RETRIES),
        )

    def get(self, path: str, **query: object) -> Json:
        """The JSON at ``path``. Raises :class:`ApiError`."""
        return _json(self._http.get(path, params={name: str(value) for name, value in query.items()}))

    def find(self, path: str) -> Json | None:
        """The JSON at ``path``, or None where there is nothing."""
        answer = self._http.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)

    def list(self, path: str, **query: object) -> Iterator[Json]:
        """Every row of a list, page after page."""
        page = self.get(path, page_size=500, **query)
        yield from page["results"]
        while page["next"]:
            page = self.get(page["next"])
            yield from page["results"]

    def post(self, path: str, **body: object) -> Json:
        """Send ``body`` as JSON and return the answer. Raises :class:`ApiError`."""
        return _json(self._http.post(path, json=body))

    def upload(self, file: Path, progress: Callable[[int, int], None]) -> str:
        """Upload ``file`` by tus and return the upload's id; ``progress`` gets bytes sent and their total."""
        size = file.stat().st_size
        # Given a path, the library would never close the file.
        with file.open("rb") as stream:
            uploader = TusClient(f"{self._root}uploads/", headers=self._headers).uploader(
                file_stream=stream,
                chunk_size=CHUNK_BYTES,
                metadata={"filename": file.name},
                retries=RETRIES,
                retry_delay=2,
            )
            while uploader.offset < size:
                uploader.upload_chunk()  # type: ignore[no-untyped-call]
                progress(uploader.offset, size)
        return str(uploader.url).rstrip("/").rpartition("/")[2]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()


def why(row: Json) -> str:
    """Why a batch, a submission or a run ended badly, and what to do; its state where it did not."""
    error = row["error"]
    return f"{error['detail']} {error['fix']}" if error else str(row["state"])


def _json(answer: httpx.Response) -> Json:
    if answer.is_success:
        return dict(answer.json())
    request = f"{answer.request.method} {answer.request.url.path}"
    try:
        errors = answer.json()["errors"]
    except (ValueError, KeyError):
        raise ApiError(f"{request} was answered with {answer.status_code}.") from None
    reasons = (
        f"{e['attr'] + ': ' if e['attr'] else ''}{e['detail']} {e.get('fix', '')}".strip() for e in errors
    )
    raise ApiError(f"{request} was refused ({answer.status_code}): {'; '.join(reasons)}")
