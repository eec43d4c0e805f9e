"""``Idempotency-Key``: what is sent again makes nothing twice, whatever happened to the first answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from leaderboard.api import submissions
from leaderboard.models import Corpus, IdempotencyKey, Submission, Upload, User
from leaderboard.services.idempotency import forget_old_keys
from leaderboard.services.sweep import sweep
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import BenchmarkFactory, UserFactory

pytestmark = pytest.mark.django_db

SUBMISSIONS = "/api/v1/submissions/"
KEY = "0c4f-1"


def enter(client: APIClient, key: str = KEY, **fields: Any) -> Any:
    return client.post(SUBMISSIONS, fields, headers={"Idempotency-Key": key})


def test_what_is_sent_again_is_answered_again_and_made_once(owner: APIClient) -> None:
    benchmark = BenchmarkFactory()
    first = enter(owner, benchmark=benchmark.slug, name="spectrum")
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first
    # Another order of the fields is the same request.
    second = enter(owner, name="spectrum", benchmark=benchmark.slug)
    assert second.status_code == 201
    assert second["Idempotency-Replayed"] == "true"
    assert second["Location"] == first["Location"]
    assert second["Content-Type"] == first["Content-Type"] == "application/json"
    assert second.json() == first.json()
    assert Submission.objects.count() == 1
    # Without the key the name is taken, and with another key too.
    assert owner.post(SUBMISSIONS, {"benchmark": benchmark.slug, "name": "spectrum"}).status_code == 409
    assert enter(owner, "other", benchmark=benchmark.slug, name="spectrum").status_code == 409


def test_a_key_stands_for_one_request(owner: APIClient, client_of: ClientOf) -> None:
    benchmark = BenchmarkFactory()
    assert enter(owner, benchmark=benchmark.slug, name="a").status_code == 201
    other = enter(owner, benchmark=benchmark.slug, name="b")
    assert other.status_code == 422
    (error,) = other.json()["errors"]
    assert error["code"] == "idempotency_mismatch"
    assert error["fix"]
    elsewhere = owner.post(
        "/api/v1/webhooks/", {"url": "https://example.org/"}, headers={"Idempotency-Key": KEY}
    )
    assert elsewhere.json()["errors"][0]["code"] == "idempotency_mismatch"
    # Each caller has keys of their own.
    assert enter(client_of(UserFactory()), benchmark=benchmark.slug, name="b").status_code == 201
    assert Submission.objects.count() == 2


def test_a_refused_request_leaves_its_key_free(owner: APIClient) -> None:
    benchmark = BenchmarkFactory()
    assert enter(owner, benchmark=benchmark.slug, name="").status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert enter(owner, benchmark=benchmark.slug, name="mended").status_code == 201


def test_of_a_failed_request_nothing_stays(owner: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = BenchmarkFactory()
    owner.raise_request_exception = False

    def made_and_broken(submission: Submission, *arguments: object) -> None:
        assert Submission.objects.filter(pk=submission.pk).exists()
        raise RuntimeError("the answer is lost")

    with monkeypatch.context() as broken:
        broken.setattr(submissions, "created", lambda answer, *_: made_and_broken(answer.instance))
        assert enter(owner, benchmark=benchmark.slug, name="a").status_code == 500
    assert not Submission.objects.exists()
    assert not IdempotencyKey.objects.exists()
    again = enter(owner, benchmark=benchmark.slug, name="a")
    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut"])
def test_a_key_is_bounded(owner: APIClient, key: str) -> None:
    answer = owner.post(SUBMISSIONS, {}, HTTP_IDEMPOTENCY_KEY=key)
    assert answer.status_code == 400
    assert "Idempotency-Key has 1 to 255" in answer.json()["errors"][0]["detail"]
    assert not IdempotencyKey.objects.exists()


def test_a_key_is_forgotten_after_a_day(owner: APIClient) -> None:
    benchmark = BenchmarkFactory()
    assert enter(owner, benchmark=benchmark.slug, name="a").status_code == 201

    def age(**by: int) -> None:
        IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(**by))

    age(hours=23)
    assert forget_old_keys() == 0
    assert enter(owner, benchmark=benchmark.slug, name="b").status_code == 422
    age(hours=25)
    # Old keys mean nothing, whether or not somebody has swept.
    assert enter(owner, benchmark=benchmark.slug, name="b").status_code == 201
    age(hours=25)
    sweep()
    assert not IdempotencyKey.objects.exists()


def test_an_upload_is_begun_once(owner: APIClient) -> None:
    def begin(length: int, name: str) -> Any:
        return owner.post(
            "/api/v1/uploads/",
            headers={
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(length),
                "Upload-Metadata": f"filename {name}",
                "Idempotency-Key": KEY,
            },
        )

    first, second = begin(7, "YQ=="), begin(7, "YQ==")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Location"] == first["Location"]
    assert second["Tus-Resumable"] == "1.0.0"
    assert Upload.objects.count() == 1
    assert begin(8, "YQ==").status_code == begin(7, "Yg==").status_code == 422


def test_every_address_that_makes_something_takes_a_key(visitor: APIClient) -> None:
    """Creation is what answers 201; of an edition, sending it again gives the present one anyway."""
    schema = visitor.get("/api/v1/schema/?format=json").json()
    without = {
        path
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method == "post"
        and "201" in operation["responses"]
        and not {p["name"] for p in operation.get("parameters", [])} & {"Idempotency-Key"}
    }
    assert without == {"/api/v1/tokens/", "/api/v1/benchmarks/{slug}/editions/"}
    create = schema["paths"]["/api/v1/corpora/"]["post"]["responses"]
    assert {"409", "422"} <= set(create)
    assert "Idempotency-Replayed" in create["201"]["headers"]


def at_once(n: int, act: Callable[[int], Any]) -> list[Any]:
    """What ``act`` returned in ``n`` threads that begin together, each with a connection of its own."""
    barrier = threading.Barrier(n)

    def work(number: int) -> Any:
        try:
            barrier.wait(10)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, range(n)))


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_thing(client_of: ClientOf) -> None:
    user = UserFactory(maintainer=True)
    clients = [client_of(user) for _ in range(6)]

    def make(number: int) -> Any:
        body = {"slug": "faces", "name": "Faces"}
        return clients[number].post("/api/v1/corpora/", body, headers={"Idempotency-Key": KEY})

    answers = at_once(6, make)
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {201, 409}
    made = [a for a in answers if a.status_code == 201]
    assert len([a for a in made if "Idempotency-Replayed" not in a]) == 1
    assert {a.json()["errors"][0]["code"] for a in answers if a.status_code == 409} <= {"idempotency_running"}
    assert Corpus.objects.count() == 1
    assert make(0).json() == made[0].json()


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_running_the_second_is_told_so(client_of: ClientOf, submitter: User) -> None:
    """The first is held in the middle of its transaction, as a slow server would."""
    benchmark = BenchmarkFactory()
    clients = [client_of(submitter), client_of(submitter)]
    holds, go_on = threading.Event(), threading.Event()
    answers: list[Any] = []

    def first() -> None:
        try:
            with transaction.atomic():
                answers.append(enter(clients[0], benchmark=benchmark.slug, name="a"))
                holds.set()
                go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert holds.wait(20)
    refused = enter(clients[1], benchmark=benchmark.slug, name="a")
    go_on.set()
    thread.join()
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["code"] == "idempotency_running"
    replayed = enter(clients[1], benchmark=benchmark.slug, name="a")
    assert replayed["Idempotency-Replayed"] == "true"
    assert replayed.json() == answers[0].json()
