"""Bodies that are read as they come: clients that fall silent, and what is left when a request is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, UnreadablePostError
from gunicorn.http.body import Body, LengthReader  # type: ignore[import-untyped]
from gunicorn.http.unreader import SocketUnreader  # type: ignore[import-untyped]

from leaderboard.services.uploads import Readable
from protocols.errors import RequestError

READ_BYTES = 1 << 20
# What is read of a refused body so that its sender gets to read why.
LINGER_S = 10.0
LINGER_BYTES = 256 << 20


class SocketBody:
    """The body of a request to gunicorn, read from its connection straight into the caller's memory.

    gunicorn's own reader copies every byte several times, which takes six times the processor time:
    more than to receive, to hash and to write it together.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._reader: Any = body.reader
        self._unreader: Any = body.reader.unreader
        # What came with the headers; beyond the body it is the connection's next request.
        ahead = self._unreader.take_buffered()
        self._ahead = memoryview(ahead[: self._reader.length])
        self._unreader.unread(ahead[self._reader.length :])

    @staticmethod
    def reads(body: object) -> bool:
        """Whether a body is one that nobody has read from, of known length, on a plain connection."""
        return (
            isinstance(body, Body)
            and isinstance(body.reader, LengthReader)
            and type(body.reader.unreader) is SocketUnreader
            and not body.buf.tell()
        )

    def readinto(self, target: memoryview) -> int:
        """Fill the beginning of ``target``, and return how many bytes that are; none at the end."""
        size: int = min(len(target), self._reader.length)
        if not size:
            return 0
        if self._ahead:
            size = min(size, len(self._ahead))
            target[:size] = self._ahead[:size]
            self._ahead = self._ahead[size:]
        else:
            try:
                size = self._unreader.sock.recv_into(target[:size])
            except OSError as error:
                self._body.failed = True
                # As Django's own requests have it: no fault of the disk.
                raise UnreadablePostError(*error.args) from error
        self._reader.length -= size
        return size


class StreamBody:
    """The body of a request to any other server, read as Django reads it, as far as Content-Length."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def readinto(self, target: memoryview) -> int:
        data = self._request.read(len(target))
        target[: len(data)] = data
        return len(data)


@contextmanager
def bounded_silence(request: HttpRequest) -> Iterator[Readable]:
    """The request's body; ``RequestError('upload_stalled')`` where nothing comes for ``UPLOAD_STALL_S``.

    A client whose network went away leaves a connection that never ends. It would hold a thread of
    the server, and the upload's lock against the very same client that has come back.
    """
    body = request.META.get("wsgi.input")
    stream = SocketBody(body) if SocketBody.reads(body) else StreamBody(request)
    with _timeout(request, settings.UPLOAD_STALL_S):
        try:
            yield stream
        except UnreadablePostError as error:
            if isinstance(error.__cause__, TimeoutError):
                detail = f"No byte came for {settings.UPLOAD_STALL_S:g} s."
                raise RequestError("upload_stalled", detail) from error
            raise


def let_finish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Once a refusal is sent, read what its sender still sends, within bounds, and throw it away.

    Closing a connection with bytes unread resets it, and many a client that is still sending would
    report that in place of the answer.
    """

    def read_on() -> None:
        deadline, left = time.monotonic() + LINGER_S, LINGER_BYTES
        with _timeout(request, LINGER_S), suppress(OSError):
            while left > 0 and time.monotonic() < deadline and (data := request.read(READ_BYTES)):
                left -= len(data)

    # The server calls these when the whole answer is out.
    response._resource_closers.append(read_on)  # type: ignore[attr-defined]


@contextmanager
def _timeout(request: HttpRequest, seconds: float) -> Iterator[None]:
    """Bound each wait for the client, where the server lets us have the connection."""
    connection: Any = request.META.get("gunicorn.socket")
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    connection.settimeout(seconds)
    try:
        yield
    finally:
        connection.settimeout(before)
