"""Sending a file by tus 1.0 so that no loss of the connection, or of either machine, costs more than a piece.

Every piece is sent with its checksum. After whatever broke, the server is asked how much it has, and
the next piece begins there: nothing that arrived whole is sent twice.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import httpx

from tidemark.client import ApiError, refusal, wait_of

if TYPE_CHECKING:
    from tidemark.client import Api

VERSION = "1.0.0"
# A piece is read before it is sent, for its checksum stands before it. It is what a broken connection costs.
PIECE_BYTES = 16 * 2**20
SENT_AT_ONCE_BYTES = 2**18
# A server is away for seconds when it restarts, a network for minutes. Each piece begins to count anew.
DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
ALGORITHMS = ("sha256", "sha1")
# The statuses after which the same bytes may be taken: another request holds the upload, the checksum
# differed, the server rested or failed.
PASSING = (408, 409, 423, 429, 460, 500, 502, 503, 504)

Progress = Callable[[int, int], None]


def upload(
    api: Api,
    file: Path,
    progress: Progress,
    *,
    resume: str = "",
    begun: Callable[[str], None] = lambda _upload: None,
    team: str = "",
) -> str:
    """Upload ``file`` and return the upload's id; ``progress`` gets bytes sent and their total.

    ``begun`` gets the id before the first byte is sent. Given back as ``resume``, with the same file,
    the upload goes on where it stopped; one that has expired begins anew. ``team`` is whose quota it
    counts against. Raises :class:`ApiError`.
    """
    size = file.stat().st_size
    sender = _Sender(api.http, size, progress)
    if not (resume and sender.found(resume)):
        sender.begin(file.name, team)
    begun(sender.upload_id)
    with file.open("rb") as stream:
        sender.send(stream)
    return sender.upload_id


def give_up(api: Api, upload_id: str) -> None:
    """Free what was sent of an upload; an entry that waits for it is a draft again."""
    api.delete(f"uploads/{upload_id}", headers={"Tus-Resumable": VERSION})


class _Sender:
    """One upload under way: its address, and how much of it the server has."""

    def __init__(self, http: httpx.Client, size: int, progress: Progress) -> None:
        self._http = http
        self._size = size
        self._progress = progress
        self._offset = 0
        self._algorithm = self._best_algorithm()
        self.upload_id = ""

    def found(self, upload_id: str) -> bool:
        """Whether an upload of this length is still there, which is gone on with."""
        self.upload_id = upload_id
        answer = self._try("HEAD")
        if not answer.is_success or answer.headers.get("Upload-Length") != str(self._size):
            return False
        self._offset = int(answer.headers["Upload-Offset"])
        return True

    def begin(self, name: str, team: str) -> None:
        told = {"filename": name, "team": team}
        metadata = ",".join(f"{key} {_base64(value.encode())}" for key, value in told.items() if value)
        headers = {"Upload-Length": str(self._size), "Upload-Metadata": metadata}
        answer = self._try("POST", headers | {"Idempotency-Key": str(uuid.uuid4())}, address="uploads/")
        if not answer.is_success:
            raise refusal(answer, "The upload")
        self.upload_id = answer.headers["Location"].rstrip("/").rpartition("/")[2]
        self._offset = 0

    def send(self, stream: BinaryIO) -> None:
        """Send what the server does not have yet."""
        self._progress(self._offset, self._size)
        while self._offset < self._size:
            stream.seek(self._offset)
            piece = stream.read(min(PIECE_BYTES, self._size - self._offset))
            if not piece:
                raise ApiError("The file became shorter while it was sent.")
            self._send_piece(piece)
            self._progress(self._offset, self._size)

    def _send_piece(self, piece: bytes) -> None:
        """Send ``piece``, or as much of it as is missing when something broke, until the server has it."""
        start, end = self._offset, self._offset + len(piece)
        delays = iter(DELAYS_S)
        while self._offset < end:
            rest = memoryview(piece)[self._offset - start :]
            try:
                answer = self._http.request(
                    "PATCH",
                    f"uploads/{self.upload_id}",
                    content=self._slices(rest),
                    headers=self._headers(rest),
                )
            except httpx.TransportError as error:
                _rest_or_give_up(delays, ApiError(f"The upload was cut off: {error}"))
            else:
                if answer.is_success:
                    self._offset = int(answer.headers["Upload-Offset"])
                    continue
                if answer.status_code not in PASSING:
                    raise refusal(answer, "The upload")
                _rest_or_give_up(delays, refusal(answer, "The upload"), answer)
            if not self.found(self.upload_id):
                raise ApiError("The upload expired or was given up. Run the command again to begin anew.")
            if not start <= self._offset <= end:
                # Somebody else sends the same file; the caller reads on from where that one is.
                return

    def _headers(self, piece: memoryview) -> dict[str, str]:
        headers = {
            "Tus-Resumable": VERSION,
            "Upload-Offset": str(self._offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(piece)),
        }
        if self._algorithm:
            digest = hashlib.new(self._algorithm, piece).digest()
            headers["Upload-Checksum"] = f"{self._algorithm} {_base64(digest)}"
        return headers

    def _slices(self, piece: memoryview) -> Iterator[bytes]:
        """``piece`` bit by bit, so that the bar moves on a slow line."""
        for start in range(0, len(piece), SENT_AT_ONCE_BYTES):
            if start:
                self._progress(self._offset + start, self._size)
            yield bytes(piece[start : start + SENT_AT_ONCE_BYTES])

    def _best_algorithm(self) -> str:
        """The checksum that both sides know, empty without one."""
        known = self._try("OPTIONS", address="uploads/").headers.get("Tus-Checksum-Algorithm", "").split(",")
        return next((name for name in ALGORITHMS if name in known), "")

    def _try(self, method: str, headers: dict[str, str] | None = None, address: str = "") -> httpx.Response:
        """A request without a body, again and again while the server is away."""
        delays = iter(DELAYS_S)
        while True:
            try:
                answer = self._http.request(
                    method,
                    address or f"uploads/{self.upload_id}",
                    headers={"Tus-Resumable": VERSION, **(headers or {})},
                )
            except httpx.TransportError as error:
                _rest_or_give_up(delays, ApiError(f"The upload was cut off: {error}"))
            else:
                if answer.status_code not in PASSING or refusal(answer).code.startswith("quota_"):
                    return answer
                _rest_or_give_up(delays, refusal(answer, "The upload"), answer)


def _rest_or_give_up(delays: Iterator[float], error: ApiError, answer: httpx.Response | None = None) -> None:
    delay = next(delays, None)
    if delay is None:
        raise error
    time.sleep(delay if answer is None else wait_of(answer, delay))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
