from __future__ import annotations

import ipaddress
import socket
import threading
import time
from typing import Any

import httpcore
import httpx
import pytest

from leaderboard import outbound
from leaderboard.outbound import MAX_ANSWER_BYTES, TargetError, check_url, is_public, post
from protocols.errors import RequestError
from tests.leaderboard.receiver import dripping, receiver

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
]


@pytest.fixture
def nothing_allowed(settings: Any) -> None:
    settings.WEBHOOK_ALLOW = []


@pytest.fixture
def loopback_allowed(settings: Any) -> None:
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]


def url_of(address: str) -> str:
    return f"http://[{address}]:9/" if ":" in address else f"http://{address}:9/"


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_off_the_public_internet_is_reached(nothing_allowed: None, address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises((TargetError, httpcore.ConnectError)) as caught:
        post(url_of(address), b"{}", {})
    # A zone index is no part of a URL's host to every parser: then there is no such host.
    assert caught.type is TargetError or "%" in address
    if "%" not in address:
        with pytest.raises(RequestError, match="webhook_target"):
            check_url(url_of(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    check_url(url_of(address))


# Ways to write the loopback that a comparison of texts would let through.
@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "LOCALHOST."]
)
def test_a_listening_server_is_not_reached_by_any_spelling(nothing_allowed: None, host: str) -> None:
    with receiver() as here:
        # Some spellings no parser or resolver takes, and the others are the loopback.
        with pytest.raises((TargetError, httpx.InvalidURL, httpcore.ConnectError)):
            post(f"http://{host}:{here.port}/", b"{}", {})
        assert here.got == []


def test_nor_over_ipv6(nothing_allowed: None) -> None:
    with receiver("::1") as here:
        for host in ("[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]"):
            with pytest.raises(TargetError):
                post(f"http://{host}:{here.port}/", b"{}", {})
        assert here.got == []


def answer(*addresses: str) -> Any:
    """What a resolver says when a name has these addresses."""

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


def test_one_private_address_among_public_ones_is_enough(
    nothing_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answer("8.8.8.8", "127.0.0.1"))
    with pytest.raises(TargetError, match=r"127\.0\.0\.1"):
        post("http://mixed.example/", b"{}", {})


def test_a_name_that_changes_its_answer_gains_nothing(
    nothing_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is asked once, and the connection goes to the very address that was checked."""
    asked, connected = [], []

    def rebinding(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        found: list[Any] = answer("93.184.216.34" if len(asked) == 1 else "127.0.0.1")(host, port)
        return found

    def connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise OSError("no such route")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(httpcore.ConnectError):
        post("http://rebinding.example:8000/", b"{}", {})
    assert asked == ["rebinding.example"]
    assert connected == [("93.184.216.34", 8000)]


def test_an_allowed_host_is_reached_and_no_other(loopback_allowed: None) -> None:
    with receiver() as here:
        assert post(here.url, b'{"a":1}', {"Content-Type": "application/json"}).is_accepted
        with pytest.raises(TargetError):
            post(f"http://localhost:{here.port}/", b"{}", {})
    (got,) = here.got
    assert (got.path, got.body) == ("/hook", b'{"a":1}')
    assert got.headers["Host"] == f"127.0.0.1:{here.port}"


def test_redirects_are_not_followed(loopback_allowed: None) -> None:
    with receiver() as target, receiver() as here:
        for status in (301, 302, 303, 307, 308):
            here.answers, here.location = [status], target.url
            found = post(here.url, b"{}", {})
            assert (found.status, found.is_accepted) == (status, False)
        assert target.got == []
        assert len(here.got) == 5


def test_no_proxy_is_asked(loopback_allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as here:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert post(here.url, b"{}", {}).is_accepted
        assert proxy.got == []


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b""],
    ids=["headers", "body", "status"],
)
def test_a_receiver_that_drips_is_left_at_the_deadline(loopback_allowed: None, first: bytes) -> None:
    """Each byte comes well within any timeout of a single read."""
    with dripping(first) as port:
        began = time.monotonic()
        with pytest.raises((httpcore.TimeoutException, httpcore.RemoteProtocolError)):
            post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_s=0.6)
        assert time.monotonic() - began < 2


def test_an_answer_is_read_up_to_a_bound(loopback_allowed: None) -> None:
    with receiver() as here:
        here.n_answer_bytes = 100 * MAX_ANSWER_BYTES
        began = time.monotonic()
        assert post(here.url, b"{}", {}).is_accepted
        assert time.monotonic() - began < 2


def test_nothing_listens(loopback_allowed: None) -> None:
    with receiver() as here:
        url = here.url
    with pytest.raises(httpcore.NetworkError):
        post(url, b"{}", {})


def test_an_unknown_name(nothing_allowed: None) -> None:
    with pytest.raises(httpcore.ConnectError, match="can't be resolved"):
        post("http://no-such-host.invalid/", b"{}", {})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://",
        "http:///path",
        "https://user:secret@example.org/",
        "https://example.org/#fragment",
        "https://exa mple.org/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://example.org/" + "x" * 500,
        "http://127.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_what_is_never_sent_to_is_said_at_once(nothing_allowed: None, url: str) -> None:
    with pytest.raises(RequestError, match="webhook_target"):
        check_url(url)


def test_a_certificate_is_checked_for_the_name_and_not_for_the_address() -> None:
    context = outbound._ssl_context()
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


def test_a_name_that_is_not_resolved_in_time_is_given_up(
    loopback_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def slowly(*args: object, **kwargs: object) -> list[object]:
        answer.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    monkeypatch.setattr(outbound, "RESOLVE_TIMEOUT_S", 0.3)
    started = time.monotonic()
    with pytest.raises(httpcore.ConnectTimeout, match="not resolved in time"):
        post("http://slow.example.org/", b"{}", {})
    assert time.monotonic() - started < 3
    # The whole deadline counts too, if there is less of it.
    monkeypatch.setattr(outbound, "RESOLVE_TIMEOUT_S", 30)
    with pytest.raises(httpcore.ConnectTimeout, match="not resolved in time"):
        post("http://slow.example.org/", b"{}", {}, timeout_s=0.3)
    answer.set()
