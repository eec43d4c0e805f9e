from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from leaderboard.models import Subscription, User
from leaderboard.services.notifications import deliver_due
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import BenchmarkFactory, UserFactory
from tests.leaderboard.receiver import receiver

HOOKS = "/api/v1/webhooks/"


def make(client: APIClient, **body: Any) -> dict[str, Any]:
    answer = client.post(HOOKS, {"url": "https://example.org/hook", **body})
    assert answer.status_code == 201, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def test_a_webhook_is_made_and_its_secret_is_told_once(owner: APIClient, submitter: User) -> None:
    benchmark = BenchmarkFactory()
    answer = owner.post(HOOKS, {"url": "https://example.org/hook", "benchmark": benchmark.slug})
    made = answer.json()
    hook = Subscription.objects.get(owner=submitter)
    assert made["secret"] == hook.secret
    assert (made["url"], made["benchmark"]) == ("https://example.org/hook", benchmark.slug)
    shown = owner.get(answer["Location"]).json()
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    assert owner.get(HOOKS).json()["results"] == [shown]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://127.0.0.1/"}, "webhook_target"),
        ({"url": "http://[::ffff:169.254.169.254]/latest/meta-data"}, "webhook_target"),
        ({"url": "file:///etc/passwd"}, "webhook_target"),
        ({"url": "https://example.org/", "benchmark": "nothing"}, "invalid"),
        ({"url": "https://example.org/", "secret": "mine"}, "invalid"),
        ({"url": "https://example.org/", "hears": "nothing"}, "invalid"),
        ({}, "invalid"),
    ],
)
def test_what_is_refused(owner: APIClient, body: dict[str, str], code: str) -> None:
    answer = owner.post(HOOKS, body)
    assert answer.status_code == 400
    assert [error["code"] for error in answer.json()["errors"]] in ([code], ["required"], [code] * 2)
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("hears", ["board", "entries", "all"])
def test_what_it_hears_of_is_chosen(owner: APIClient, hears: str) -> None:
    assert make(owner, hears=hears)["hears"] == Subscription.objects.get().hears == hears


def test_it_hears_of_all_unless_told_otherwise(owner: APIClient) -> None:
    assert make(owner)["hears"] == "all"


def test_the_same_twice_is_a_conflict(owner: APIClient) -> None:
    make(owner)
    answer = owner.post(HOOKS, {"url": "https://example.org/hook"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "conflict")


def test_a_ping_is_sent_and_stands_in_the_log(owner: APIClient, settings: Any) -> None:
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    with receiver() as here:
        made = make(owner, url=here.url)
        answer = owner.post(f"{HOOKS}{made['id']}/ping/")
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        deliver_due()
        (got,) = here.got
    (row,) = owner.get(f"{HOOKS}{made['id']}/deliveries/").json()["results"]
    assert (row["id"], row["event"], row["status"], row["last_status"]) == (
        got.headers["Webhook-Id"],
        "ping",
        "delivered",
        200,
    )


def test_it_is_its_owners_alone(owner: APIClient, client_of: ClientOf, visitor: APIClient) -> None:
    address = f"{HOOKS}{make(owner)['id']}/"
    for other in (client_of(UserFactory()), client_of(UserFactory(maintainer=True))):
        assert other.get(HOOKS).json()["results"] == []
        for method, path in (("get", ""), ("delete", ""), ("post", "ping/"), ("get", "deliveries/")):
            assert getattr(other, method)(f"{address}{path}").status_code == 404
    assert visitor.get(HOOKS).status_code == 401
    assert owner.delete(address).status_code == 204
    assert owner.get(address).status_code == 404


def test_making_them_is_throttled_and_reading_is_not(owner: APIClient) -> None:
    statuses = [owner.post(HOOKS, {"url": "ftp://x/"}).status_code for _ in range(31)]
    assert statuses == [400] * 30 + [429]
    assert owner.get(HOOKS).status_code == 200
