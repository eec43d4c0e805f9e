"""Limits per address and per user, the headers that tell of them, and what happens without Redis."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import LazySettings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from leaderboard import cache as backend
from leaderboard.limits import Rate, client_address, count, parse_rate
from leaderboard.models import User
from local.redis import Redis
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.api.test_permissions import TUS
from tests.leaderboard.factories import PASSWORD, UploadFactory, UserFactory
from tests.leaderboard.world import build_world

pytestmark = pytest.mark.django_db
READ = "/api/v1/corpora/"


@pytest.fixture
def rates(settings: LazySettings) -> Any:
    def set_(**rates: str) -> None:
        settings.THROTTLES = settings.THROTTLES | {
            name.replace("_", "-"): rate for name, rate in rates.items()
        }

    return set_


def left(answer: Any) -> dict[str, int]:
    """What ``RateLimit`` says is left, by policy."""
    return {
        name: int(number) for name, number in re.findall(r'"([a-z-]+)";r=(\d+);t=\d+', answer["RateLimit"])
    }


def test_every_answer_says_what_is_left(owner: APIClient, visitor: APIClient, rates: Any) -> None:
    rates(address="10/min", user="5/min")
    answer = owner.get(READ)
    assert answer["RateLimit-Policy"] == '"address";q=10;w=60, "user";q=5;w=60'
    assert left(answer) == {"address": 9, "user": 4}
    assert left(visitor.get(READ)) == {"address": 8}
    assert left(owner.get("/api/v1/none/")) == {"address": 7}, "an address that is none"
    assert left(visitor.get("/api/v1/events/")) == {"address": 6}, "a refusal"
    assert left(owner.post("/api/v1/webhooks/", {})) == {"address": 5, "user": 3, "webhooks": 29}
    assert "RateLimit" not in visitor.get("/"), "a page"


def test_an_address_is_limited_before_anybody_looks_at_the_token(
    visitor: APIClient, rates: Any, django_assert_num_queries: Any
) -> None:
    rates(address="3/min")
    visitor.credentials(HTTP_AUTHORIZATION="Token " + "a" * 64)
    assert [visitor.get(READ).status_code for _ in range(3)] == [401] * 3
    with django_assert_num_queries(0):
        answer = visitor.get(READ)
    assert answer.status_code == 429
    (error,) = answer.json()["errors"]
    assert (error["code"], answer.json()["type"]) == ("throttled", "client_error")
    assert set(error) == {"code", "detail", "fix", "attr"}
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert left(answer) == {"address": 0}


def test_a_user_is_limited_whatever_the_token_and_others_are_not(
    client_of: ClientOf, submitter: User, rates: Any
) -> None:
    rates(user="3/min")
    first, second, other = client_of(submitter), client_of(submitter), client_of(UserFactory())
    assert [client.get(READ).status_code for client in (first, second, first)] == [200] * 3
    answer = second.get("/api/v1/webhooks/")
    assert answer.status_code == 429, "also where a view has limits of its own"
    assert answer.json()["errors"][0]["code"] == "throttled"
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert other.get(READ).status_code == 200


def test_pieces_of_an_upload_have_a_limit_of_their_own(owner: APIClient, submitter: User, rates: Any) -> None:
    rates(address="2/min", user="2/min", uploads="5/min")
    upload = UploadFactory(owner=submitter)
    path = f"/api/v1/uploads/{upload.pk}"
    answers = [owner.head(path, **TUS) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[0]["RateLimit-Policy"] == '"uploads";q=5;w=60'
    assert owner.post("/api/v1/uploads/", **TUS).status_code == 201, "beginning one counts as all else"


def test_signing_in_is_limited_more_strictly(submitter: User, visitor: APIClient, rates: Any) -> None:
    rates(sign_in="2/min")
    body = {"username": submitter.username, "password": PASSWORD}
    answers = [visitor.post("/api/v1/tokens/", body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert left(answers[0])["sign-in"] == 1


def test_tables_as_files_have_a_limit_of_their_own(client: Client, rates: Any) -> None:
    shown = build_world(n_detectors=1)
    rates(files="3/min", address="1/min")
    board = f"/b/{shown.benchmark.slug}/leaderboard"
    for n, suffix in enumerate(("csv", "json", "parquet")):
        answer = client.get(f"{board}.{suffix}")
        assert answer.status_code == 200
        assert left(answer) == {"files": 2 - n}
    refused = client.get(f"{board}.csv", {"sort": "name"})
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["code"] == "throttled"
    assert 0 < int(refused["Retry-After"]) <= 60
    assert client.get(f"/b/{shown.benchmark.slug}/").status_code == client.get("/").status_code == 200
    assert client.get(f"/b/{shown.benchmark.slug}/picture.png").status_code == 200


def test_an_empty_rate_is_no_bound(visitor: APIClient, rates: Any) -> None:
    rates(address="")
    answer = visitor.get(READ)
    assert answer.status_code == 200
    assert "RateLimit" not in answer


def test_processes_that_count_at_once_get_different_numbers(settings: LazySettings) -> None:
    settings.THROTTLES = {"address": "1000/min"}
    found: list[int] = []

    def work() -> None:
        for _ in range(50):
            use = count("address", "somebody")
            assert use is not None
            found.append(use.used or 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 201))


@pytest.fixture
def redis_is_back(redis_server: Redis) -> Iterator[Redis]:
    yield redis_server
    redis_server.start()
    backend.outage.until = 0.0
    cache.get("anything")


def test_without_redis_requests_are_answered_and_the_log_has_one_line(
    redis_is_back: Redis, owner: APIClient, submitter: User, rates: Any, client: Any
) -> None:
    rates(address="2/min", user="1/min")
    redis_is_back.stop()
    with structlog.testing.capture_logs() as lines:
        answers = [owner.get(READ) for _ in range(4)]
        backend.outage.until = 0.0
        answers.append(owner.get(READ))
        page = client.post("/login/", {"login": submitter.username, "password": PASSWORD})
    assert [answer.status_code for answer in answers] == [200] * 5
    assert answers[0]["RateLimit-Policy"].startswith('"address";q=2;w=60')
    assert "RateLimit" not in answers[0], "nothing is counted, so nothing is said of what is left"
    assert page.status_code == 302, "signing in works too"
    assert [line["event"] for line in lines if line["event"].startswith("cache")] == ["cache_away"]
    redis_is_back.start()
    backend.outage.until = 0.0
    assert left(owner.get(READ)) == {"address": 1, "user": 0}


@pytest.mark.parametrize(
    ("text", "rate"),
    [("600/min", Rate(600, 60)), ("20/10min", Rate(20, 600)), ("5/h", Rate(5, 3600)), ("", None)],
)
def test_rates_are_read_as_written(text: str, rate: Rate | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["600", "x/min", "0/min", "5/fortnight", "5/0min", "-1/s", "5/"])
def test_a_rate_that_says_nothing_is_an_error(text: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        parse_rate(text)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, None, "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.7, 203.0.113.9", "198.51.100.7"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "<script>", "unknown"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_address_is_that_which_our_proxies_saw(
    settings: LazySettings, proxies: int, forwarded: str | None, address: str
) -> None:
    settings.NUM_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", headers=headers)
    assert client_address(request) == address


def test_clearing_the_cache_leaves_the_broker_alone(redis_server: Redis) -> None:
    import redis

    with redis.Redis.from_url(redis_server.url) as broker:
        # A list that is nobody's: other tests leave wake-ups in the queue of the workers.
        broker.rpush("a-queue", "a message")
        cache.set("thing", 1)
        cache.clear()
        assert cache.get("thing") is None
        assert broker.lpop("a-queue") == b"a message"
