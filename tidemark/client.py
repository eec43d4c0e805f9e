"""A small client of the public REST API, for the command line and for scripts.

It needs the extra ``client`` (httpx and tuspy) and nothing of the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

# A restarting web process is back within seconds.
RETRIES = 5
TIMEOUT_S = 120.0
CHUNK_BYTES = 16 * 2**20
TUS_VERSION = "1.0.0"

Json = dict[str, Any]


class ApiError(RuntimeError):
    """The server refused something; the message says what to do.

    ``code`` is that of the catalogue of errors, empty where the answer has none.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Api:
    """The API of the server at ``url``, on behalf of the owner of ``token``."""

    def __init__(self, url: str, token: str) -> None:
        self._headers = {"Authorization": f"Token {token}"}
        self._root = f"{url.rstrip('/')}/api/v1/"
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

    def upload(
        self,
        file: Path,
        progress: Callable[[int, int], None],
        *,
        resume: str = "",
        begun: Callable[[str], None] = lambda _upload: None,
    ) -> str:
        """Upload ``file`` by tus and return the upload's id; ``progress`` gets bytes sent and their total.

        ``begun`` gets the id before the first byte is sent. Given back as ``resume``, with the
        same file, the upload goes on where it stopped; one that has expired begins anew.
        Raises :class:`ApiError`.
        """
        size = file.stat().st_size
        url = self._upload_url(resume, size) if resume else None
        # Given a path, the library would never close the file.
        with file.open("rb") as stream:
            try:
                uploader = TusClient(f"{self._root}uploads/", headers=self._headers).uploader(
                    file_stream=stream,
                    url=url,
                    chunk_size=CHUNK_BYTES,
                    metadata={"filename": file.name},
                    retries=RETRIES,
                    retry_delay=2,
                )
                if url is None:
                    uploader.set_url(uploader.create_url())
                upload_id = str(uploader.url).rstrip("/").rpartition("/")[2]
                begun(upload_id)
                progress(uploader.offset, size)
                while uploader.offset < size:
                    uploader.upload_chunk()  # type: ignore[no-untyped-call]
                    progress(uploader.offset, size)
            except TusCommunicationError as error:
                raise _upload_failed(error) from error
        return upload_id

    def _upload_url(self, upload_id: str, size: int) -> str | None:
        """The address of an upload of ``size`` bytes that is still there, else None."""
        url = f"{self._root}uploads/{upload_id}"
        answer = self._http.head(url, headers={"Tus-Resumable": TUS_VERSION})
        return url if answer.is_success and answer.headers.get("Upload-Length") == str(size) else None

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
        try:
            return dict(answer.json())
        except ValueError:
            raise ApiError(f"{answer.request.url} answered with no JSON. Is it a Tidemark server?") from None
    request = f"{answer.request.method} {answer.request.url.path}"
    raise _refusal(request, answer.status_code, answer.content)


def _refusal(request: str, status: int, body: bytes | str) -> ApiError:
    """What the server's one shape of errors says, as far as ``body`` has it."""
    try:
        errors = json.loads(body)["errors"]
        reasons = (
            f"{e['attr'] + ': ' if e['attr'] else ''}{e['detail']} {e.get('fix', '')}".strip() for e in errors
        )
        return ApiError(f"{request} was refused ({status}): {'; '.join(reasons)}", errors[0]["code"])
    except (ValueError, KeyError, TypeError, IndexError):
        return ApiError(f"{request} was answered with {status}.")


def _upload_failed(error: TusCommunicationError) -> ApiError:
    if error.status_code:
        return _refusal("The upload", error.status_code, error.response_content or b"")
    return ApiError(f"The upload was cut off: {error}")
