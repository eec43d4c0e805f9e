"""A small client of the public REST API, for the command line and for scripts.

It needs the extra ``client`` (httpx) and nothing of the server. A connection that breaks, or a server
that restarts, is waited for: what only reads is asked again, and what makes something is sent again
under one ``Idempotency-Key``, so it is made once.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tidemark.exits import Exit

# A restarting web process is back within seconds.
DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
TIMEOUT_S = 120.0
MOST_WAIT_S = 60.0
# What passes by itself.
PASSING = (429, 500, 502, 503, 504)

Json = dict[str, Any]


class ApiError(RuntimeError):
    """The server refused something; the message says what to do.

    ``code`` is that of the catalogue of errors, empty where the answer has none; ``errors`` are those of
    the answer.
    """

    def __init__(
        self, message: str, code: str = "", *, errors: list[Json] | None = None, exit: int = Exit.REFUSED
    ) -> None:
        super().__init__(message)
        self.code = code
        self.errors = errors or []
        self.exit = exit


class Api:
    """The API of the server at ``url``, on behalf of the owner of ``token``, or of a visitor without one."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Token {token}"} if token else {}
        self.url = url.rstrip("/")
        self._root = f"{self.url}/api/v1/"
        self.http = httpx.Client(base_url=self._root, headers=headers, timeout=TIMEOUT_S)
        # A server that never answered is not there; one that did will be back.
        self._answered = False

    def get(self, path: str, **query: object) -> Json:
        """The JSON object at ``path``. Raises :class:`ApiError`."""
        return dict(self.read(path, **query))

    def read(self, path: str, **query: object) -> Any:
        """The JSON at ``path``, an object or a list. Raises :class:`ApiError`."""
        return _json(self._send("GET", path, params={name: str(value) for name, value in query.items()}))

    def find(self, path: str) -> Json | None:
        """The JSON at ``path``, or None where there is nothing."""
        answer = self._send("GET", path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else dict(_json(answer))

    def list(self, path: str, **query: object) -> Iterator[Json]:
        """Every row of a list, page after page."""
        page = self.get(path, page_size=500, **query)
        yield from page["results"]
        while page["next"]:
            page = self.get(page["next"])
            yield from page["results"]

    def post(self, path: str, **body: object) -> Json:
        """Send ``body`` as JSON and return the answer. Raises :class:`ApiError`."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return dict(_json(self._send("POST", path, json=body, headers=headers)))

    def delete(self, path: str, headers: dict[str, str] | None = None) -> None:
        """Raises :class:`ApiError`."""
        answer = self._send("DELETE", path, headers=headers)
        if not answer.is_success:
            raise refusal(answer)

    def upload(
        self,
        file: Path,
        progress: Callable[[int, int], None],
        *,
        resume: str = "",
        begun: Callable[[str], None] = lambda _upload: None,
        team: str = "",
    ) -> str:
        """Upload ``file`` by tus and return the upload's id: see :func:`tidemark.upload.upload`."""
        from tidemark.upload import upload

        return upload(self, file, progress, resume=resume, begun=begun, team=team)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        for delay in (*DELAYS_S, None):
            try:
                answer = self.http.request(method, path, **request)
            except httpx.TransportError:
                if delay is None or not self._answered:
                    raise
            else:
                self._answered = True
                if delay is None or not _passes(answer):
                    return answer
                delay = wait_of(answer, delay)
            time.sleep(delay)
        raise AssertionError("the last try returns or raises")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()


def _passes(answer: httpx.Response) -> bool:
    """Whether the same request may be answered otherwise in a moment."""
    if answer.status_code == httpx.codes.CONFLICT:
        return refusal(answer).code == "idempotency_running"
    # A quota is answered with 429 too, and takes a day to pass.
    return answer.status_code in PASSING and not refusal(answer).code.startswith("quota_")


def wait_of(answer: httpx.Response, delay: float) -> float:
    """How long to wait before the next try: what the server says, within a bound, else ``delay``."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), MOST_WAIT_S) if told.isascii() and told.isdigit() else delay


def why(row: Json) -> str:
    """Why a batch, a submission or a run ended badly, and what to do; its state where it did not."""
    error = row["error"]
    return f"{error['detail']} {error['fix']}" if error else str(row["state"])


def _json(answer: httpx.Response) -> Any:
    if answer.is_success:
        try:
            return answer.json()
        except ValueError:
            raise ApiError(f"{answer.request.url} answered with no JSON. Is it a Tidemark server?") from None
    raise refusal(answer)


def refusal(answer: httpx.Response, what: str = "") -> ApiError:
    """What the server's one shape of errors says, as far as ``answer`` has it."""
    what = what or f"{answer.request.method} {answer.request.url.path}"
    status = answer.status_code
    try:
        errors = json.loads(answer.content)["errors"]
        reasons = (
            f"{e['attr'] + ': ' if e['attr'] else ''}{e['detail']} {e.get('fix', '')}".strip() for e in errors
        )
        return ApiError(
            f"{what} was refused ({status}): {'; '.join(reasons)}", errors[0]["code"], errors=errors
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return ApiError(f"{what} was answered with {status}.")
