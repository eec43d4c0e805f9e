"""Requests to addresses that users gave: they reach the public internet and nothing else.

A host name is resolved once, every address that it has is checked, and the connection
goes to an address that was checked, so a name that answers differently the second time
(DNS rebinding) gains nothing. Redirects are not followed, no proxy is asked, and one
deadline bounds everything from the first byte to the last, whatever the other side does.
``WEBHOOK_ALLOW`` names the hosts that may be anywhere.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore
import httpx
from django.conf import settings

from protocols.errors import RequestError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 4.0
# A resolver has a patience of its own, of which nobody can tell it: it may ask for half a minute.
RESOLVE_TIMEOUT_S = 4.0
# Of an answer, the status counts; the rest is read up to here and thrown away.
MAX_ANSWER_BYTES = 64 * 2**10
MAX_URL_CHARACTERS = 500

# The space from which public IPv6 addresses are given out (RFC 4291, IANA's registry).
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


class TargetError(Exception):
    """The address is not one that this server sends to."""


@dataclass(frozen=True)
class Answer:
    status: int

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.status < 300


def check_url(url: str) -> None:
    """Turn down at once what could never be sent to. What a name resolves to is checked at each sending.

    Raises ``RequestError('webhook_target')``.
    """
    try:
        if len(url) > MAX_URL_CHARACTERS:
            raise TargetError(f"It is longer than {MAX_URL_CHARACTERS} characters.")
        parsed = httpx.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise TargetError("It does not begin with https:// or http:// and a host.")
        if "%" in parsed.host or not 0 < (parsed.port or 80) < 2**16:
            raise TargetError("It has no host or port that there can be.")
        if parsed.userinfo:
            raise TargetError("It holds a user name or a password.")
        if parsed.fragment:
            raise TargetError("It holds a fragment (#).")
        if not _is_allowed_host(parsed.host):
            with contextlib.suppress(ValueError):
                _check(ipaddress.ip_address(parsed.host))
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise RequestError("webhook_target", "It is not an address that can be read.") from error
    except TargetError as error:
        raise RequestError("webhook_target", str(error)) from error


def post(url: str, body: bytes, headers: dict[str, str], *, timeout_s: float = TIMEOUT_S) -> Answer:
    """POST once and read the status.

    Raises :class:`TargetError` for an address that is not public, ``httpcore.TimeoutException``
    beyond the deadline, ``httpcore.NetworkError``, ``httpcore.ProtocolError``, ``OSError`` or
    ``httpx.HTTPError`` for what else goes wrong on the way.
    """
    deadline = time.monotonic() + timeout_s
    with (
        httpx.Client(transport=_Transport(deadline), trust_env=False, follow_redirects=False) as client,
        client.stream("POST", url, content=body, headers=headers, timeout=timeout_s) as response,
    ):
        received = 0
        for chunk in response.iter_raw():
            received += len(chunk)
            if received > MAX_ANSWER_BYTES:
                break
        return Answer(response.status_code)


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, and so is the IPv4 address that it stands for, if any."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        inner = [address.sixtofour, *(address.teredo or ())]
        if address not in _GLOBAL_UNICAST or not all(is_public(each) for each in inner if each is not None):
            return False
    return address.is_global and not address.is_multicast


def _check(address: Address) -> None:
    if not is_public(address):
        raise TargetError(f"{address} is not an address of the public internet.")


def _is_allowed_host(host: str) -> bool:
    return host.lower().rstrip(".") in {allowed.lower() for allowed in settings.WEBHOOK_ALLOW}


def _resolve(host: str, port: int, timeout_s: float = RESOLVE_TIMEOUT_S) -> list[str]:
    """The addresses of a host, all of them checked."""
    try:
        found = _look_up(host, port, timeout_s)
    except (socket.gaierror, UnicodeError) as error:
        raise httpcore.ConnectError(f"The host {host} can't be resolved.") from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not _is_allowed_host(host):
        for text in addresses:
            _check(ipaddress.ip_address(text))
    return addresses


def _look_up(host: str, port: int, timeout_s: float) -> list[Any]:
    """``getaddrinfo`` that is waited for so long and no longer.

    It can't be interrupted, so it runs in a thread that is left behind, until the resolver gives up.
    """
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=ask, name="resolver", daemon=True)
    thread.start()
    thread.join(max(timeout_s, 0.0))
    if not answers:
        raise httpcore.ConnectTimeout(f"The host {host} was not resolved in time.")
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return list(answer)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def _left_s(self, timeout: float | None, error: type[Exception]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise error("The receiver took too long.")
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left_s(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left_s(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._left_s(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that were checked."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"The host {host} has no address.")
        left = self._deadline - time.monotonic()
        for address in _resolve(host, port, min(left, RESOLVE_TIMEOUT_S)):
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise httpcore.ConnectTimeout("The receiver took too long.")
            try:
                stream = self._plain.connect_tcp(address, port, min(left, CONNECT_TIMEOUT_S))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise TargetError("A socket of this machine is not on the public internet.")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@cache
def _ssl_context() -> ssl.SSLContext:
    """The usual authorities, or those of ``SSL_CERT_FILE``. Reading them takes longer than a request."""
    return httpx.create_ssl_context()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Transport(httpx.BaseTransport):
    """httpx over a pool that connects by :class:`_Backend`."""

    def __init__(self, deadline: float) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=1,
            network_backend=_Backend(deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()
