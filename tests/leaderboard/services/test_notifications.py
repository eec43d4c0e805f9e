from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from leaderboard.models import Benchmark, Delivery, Subscription, User
from leaderboard.services import notifications
from leaderboard.services.notifications import (
    CLAIM,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    OWN,
    Event,
    deliver_due,
    generator_payload,
    notify,
    pause_after,
)
from leaderboard.services.subscriptions import (
    CONFIRMATIONS_PER_DAY,
    MAX_WEBHOOKS,
    email_subscribe,
    subscription_confirm,
    subscription_end,
    webhook_create,
    webhook_ping,
)
from protocols.errors import RequestError
from tests.leaderboard.factories import BenchmarkFactory, GeneratorFactory, UserFactory
from tests.leaderboard.receiver import Receiver, receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def benchmark(db: None) -> Benchmark:
    made: Benchmark = BenchmarkFactory(slug="faces-v1", name="Faces")
    return made


@pytest.fixture
def owner(db: None) -> User:
    made: User = UserFactory()
    return made


@pytest.fixture
def here(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    with receiver() as running:
        yield running


def reader(address: str, benchmark: Benchmark | None) -> Subscription:
    """An e-mail address that has confirmed."""
    email_subscribe(address=address, benchmark=benchmark)
    subscription = Subscription.objects.get(address=address, benchmark=benchmark)
    subscription_confirm(subscription)
    Delivery.objects.filter(event=Event.CONFIRM).delete()
    return subscription


def due_again() -> None:
    Delivery.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())


def test_an_event_goes_to_those_who_want_to_hear_of_the_benchmark(benchmark: Benchmark, owner: User) -> None:
    other = BenchmarkFactory()
    wanted = {
        reader("one@example.org", benchmark),
        reader("all@example.org", None),
        webhook_create(owner=owner, url="https://example.org/hook", benchmark=benchmark),
    }
    reader("other@example.org", other)
    email_subscribe(address="unconfirmed@example.org", benchmark=benchmark)
    Delivery.objects.all().delete()
    assert notify(Event.GENERATOR_PUBLISHED, benchmark, {"x": 1}) == 3
    rows = Delivery.objects.all()
    assert {row.subscription for row in rows} == wanted
    assert len({row.event_id for row in rows}) == 1
    assert all(row.payload == {"benchmark": {"slug": "faces-v1", "name": "Faces"}, "x": 1} for row in rows)
    assert all(row.status == "pending" for row in rows)


def test_an_event_is_there_with_what_it_tells_of_or_not_at_all(benchmark: Benchmark) -> None:
    reader("one@example.org", benchmark)
    with transaction.atomic():
        notify(Event.GENERATOR_PUBLISHED, benchmark, {})
        assert Delivery.objects.count() == 1
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_with_a_key_it_is_told_once(benchmark: Benchmark) -> None:
    reader("one@example.org", benchmark)
    for _ in range(2):
        notify(Event.FIRST_CONTACTS_COMPLETE, benchmark, {}, key="progan")
    notify(Event.FIRST_CONTACTS_COMPLETE, benchmark, {}, key="stylegan")
    notify(Event.GENERATOR_PUBLISHED, benchmark, {}, key="progan")
    assert Delivery.objects.count() == 3


def test_a_closed_account_hears_nothing(benchmark: Benchmark, owner: User) -> None:
    webhook_create(owner=owner, url="https://example.org/hook", benchmark=None)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert notify(Event.EDITION_OPENED, benchmark, {"edition": 2}) == 0


def test_a_webhook_is_signed_so_that_a_receiver_can_check_it(
    benchmark: Benchmark, owner: User, here: Receiver
) -> None:
    hook = webhook_create(owner=owner, url=here.url, benchmark=benchmark)
    generator = GeneratorFactory(corpus=benchmark.corpus, name="Große Bilder")
    notify(Event.GENERATOR_PUBLISHED, benchmark, generator_payload(generator))
    assert deliver_due().sent == 1
    (got,) = here.got
    delivery = hook.deliveries.get()
    # As a receiver would, from the specification and not from the server's own code.
    signed = f"{got.headers['Webhook-Id']}.{got.headers['Webhook-Timestamp']}.".encode() + got.body
    digest = hmac.digest(base64.b64decode(hook.secret[len("whsec_") :]), signed, hashlib.sha256)
    assert got.headers["Webhook-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert got.headers["Webhook-Id"] == str(delivery.pk)
    assert abs(int(got.headers["Webhook-Timestamp"]) - timezone.now().timestamp()) < 10
    assert got.headers["Content-Type"] == "application/json"
    body = json.loads(got.body)
    assert body["event"] == "generator.published"
    assert body["id"] == str(delivery.event_id)
    assert body["generator"]["name"] == "Große Bilder"
    assert body["generator"]["url"].endswith(f"/c/{benchmark.corpus.slug}/generators/{generator.slug}/")
    assert (delivery.status, delivery.last_status, delivery.attempts) == ("delivered", 200, 1)
    assert deliver_due().sent == 0


def test_a_failure_is_tried_again_after_growing_pauses_with_the_same_id_and_body(
    benchmark: Benchmark, owner: User, here: Receiver
) -> None:
    hook = webhook_create(owner=owner, url=here.url, benchmark=benchmark)
    webhook_ping(hook)
    here.answers = [500, 404]
    for attempt in (1, 2):
        assert deliver_due().failed == 1
        delivery = hook.deliveries.get()
        assert (delivery.status, delivery.attempts) == ("pending", attempt)
        pause = delivery.next_attempt_at - timezone.now()
        assert timedelta(seconds=-5) < pause - pause_after(attempt) <= timedelta(0)
        assert deliver_due().sent == 0, "not before its time"
        due_again()
    assert hook.deliveries.get().last_error == "The receiver answered 404."
    assert deliver_due().sent == 1
    assert len({(got.headers["Webhook-Id"], got.body) for got in here.got}) == 1
    assert len(here.got) == 3
    delivery = hook.deliveries.get()
    assert (delivery.status, delivery.last_error, delivery.last_status) == ("delivered", "", 200)


def test_pauses_double_up_to_a_bound() -> None:
    pauses = [pause_after(n) for n in range(1, MAX_ATTEMPTS)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) <= LONGEST_PAUSE
    assert timedelta(hours=12) < sum(pauses, timedelta()) < timedelta(days=3)


def test_it_is_given_up_in_the_end(benchmark: Benchmark, owner: User, here: Receiver) -> None:
    webhook_ping(hook := webhook_create(owner=owner, url=here.url, benchmark=benchmark))
    Delivery.objects.update(attempts=MAX_ATTEMPTS - 1)
    here.answers = [503]
    assert deliver_due().failed == 1
    delivery = hook.deliveries.get()
    assert (delivery.status, delivery.next_attempt_at) == ("failed", None)
    assert deliver_due() == notifications.Delivered()


def test_a_dead_receiver_does_not_hold_up_the_others(
    benchmark: Benchmark, owner: User, here: Receiver
) -> None:
    with receiver() as gone:
        url = gone.url
    dead = webhook_create(owner=owner, url=url, benchmark=benchmark)
    alive = webhook_create(owner=owner, url=here.url, benchmark=benchmark)
    for _ in range(5):
        notify(Event.EDITION_OPENED, benchmark, {"edition": 2})
    found = deliver_due(budget_s=20)
    # After the first failure, whatever else is for the dead one waits with it.
    assert (found.sent, found.failed) == (5, 1)
    assert len(here.got) == 5
    assert {row.status for row in alive.deliveries.all()} == {"delivered"}
    assert {row.status for row in dead.deliveries.all()} == {"pending"}


def test_a_round_ends_when_its_time_is_spent(benchmark: Benchmark, owner: User, here: Receiver) -> None:
    webhook_ping(webhook_create(owner=owner, url=here.url, benchmark=benchmark))
    assert deliver_due(budget_s=0).sent == 0
    assert here.got == []


def test_a_webhook_that_leads_home_is_not_sent(benchmark: Benchmark, owner: User, settings: Any) -> None:
    """The name is checked when it is sent to, whatever it was when the webhook was made."""
    settings.WEBHOOK_ALLOW = ["localhost"]
    with receiver() as here:
        hook = webhook_create(owner=owner, url=f"http://localhost:{here.port}/", benchmark=benchmark)
        settings.WEBHOOK_ALLOW = []
        webhook_ping(hook)
        assert deliver_due().failed == 1
        assert here.got == []
    delivery = hook.deliveries.get()
    assert "is not an address of the public internet" in delivery.last_error
    assert delivery.last_status is None


@pytest.mark.django_db(transaction=True)
def test_two_processes_send_each_delivery_once(here: Receiver) -> None:
    benchmark, owner = BenchmarkFactory(), UserFactory()
    webhook_create(owner=owner, url=here.url, benchmark=benchmark)
    for _ in range(20):
        notify(Event.EDITION_OPENED, benchmark, {"edition": 2})

    def work() -> None:
        try:
            deliver_due(budget_s=20)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [got.headers["Webhook-Id"] for got in here.got]
    assert len(ids) == len(set(ids)) == 20


def test_what_a_process_died_with_is_sent_again(
    benchmark: Benchmark, owner: User, here: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_ping(webhook_create(owner=owner, url=here.url, benchmark=benchmark))

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "_settle", die)
        with pytest.raises(KeyboardInterrupt):
            deliver_due()
    assert deliver_due().sent == 0, "its claim still stands"
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert deliver_due().sent == 1
    assert len({got.headers["Webhook-Id"] for got in here.got}) == 1
    assert timedelta(minutes=1) < CLAIM


def test_old_rows_are_deleted_and_waiting_ones_are_not(benchmark: Benchmark, owner: User) -> None:
    hook = webhook_create(owner=owner, url="https://example.org/", benchmark=benchmark)
    waiting, done = webhook_ping(hook), notifications.tell(hook, Event.PING)
    email_subscribe(address="never@example.org", benchmark=None)
    old = timezone.now() - timedelta(days=31)
    Delivery.objects.update(created_at=old, next_attempt_at=timezone.now() + timedelta(days=1))
    Delivery.objects.filter(pk=done.pk).update(delivered_at=old, next_attempt_at=None)
    Subscription.objects.update(created_at=old)
    # The delivery that is done, the address that nobody confirmed and the question to it.
    assert deliver_due().deleted == 3
    assert list(Delivery.objects.all()) == [waiting]
    assert list(Subscription.objects.all()) == [hook]


class TestEmail:
    def test_nothing_but_one_question_is_sent_before_it_is_confirmed(self, benchmark: Benchmark) -> None:
        email_subscribe(address=" Ada@EXAMPLE.org ", benchmark=benchmark)
        subscription = Subscription.objects.get()
        assert subscription.address == "Ada@example.org"
        notify(Event.GENERATOR_PUBLISHED, benchmark, {})
        assert deliver_due().sent == 1
        (question,) = mail.outbox
        assert question.to == ["Ada@example.org"]
        assert question.subject == "Confirm: news of Faces on Tidemark"
        assert f"/news/{subscription.token}/confirm/" in question.body
        assert "List-Unsubscribe" not in question.extra_headers

    def test_an_arrival_is_told_with_the_way_out(self, benchmark: Benchmark) -> None:
        subscription = reader("ada@example.org", benchmark)
        generator = GeneratorFactory(corpus=benchmark.corpus, name="A & B <i>", slug="a-b")
        payload = {**generator_payload(generator), "n_detectors": 3, "best": 0.912345, "median": None}
        notify(Event.FIRST_CONTACTS_COMPLETE, benchmark, payload)
        deliver_due()
        (sent,) = mail.outbox
        assert sent.subject == "A & B <i>: first contacts on Faces"
        assert "Best AUROC: 0.912" in sent.body
        assert "Median" not in sent.body
        stop = f"http://127.0.0.1:8000/news/{subscription.token}/unsubscribe/"
        assert stop in sent.body
        assert sent.extra_headers["List-Unsubscribe"] == f"<{stop}>"
        assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert str(subscription.deliveries.get().pk) in sent.message()["Message-ID"]

    @pytest.mark.parametrize("event", [e for e in Event if e not in (Event.CONFIRM, Event.PING, *OWN)])
    def test_every_event_has_a_text(self, benchmark: Benchmark, event: Event) -> None:
        reader("ada@example.org", benchmark)
        generator = GeneratorFactory(corpus=benchmark.corpus, name="Flow")
        notify(event, benchmark, {**generator_payload(generator), "edition": 7, "reason": "Licence."})
        deliver_due()
        (sent,) = mail.outbox
        assert "Faces" in sent.subject
        assert not sent.subject.startswith("Tidemark:")
        assert "This is a test" not in sent.body
        assert ("Edition 7" if event == Event.EDITION_OPENED else "Flow") in sent.body
        assert ("Licence." in sent.body) is (event == Event.GENERATOR_WITHDRAWN)

    def test_a_name_cannot_add_a_header(self, benchmark: Benchmark) -> None:
        reader("ada@example.org", benchmark)
        generator = GeneratorFactory(corpus=benchmark.corpus, name="Flow\r\nBcc: eve@example.org")
        notify(Event.GENERATOR_PUBLISHED, benchmark, generator_payload(generator))
        assert deliver_due().sent == 1
        (sent,) = mail.outbox
        assert sent.message()["Bcc"] is None
        assert "\n" not in sent.subject

    def test_an_address_is_asked_a_few_times_a_day_whoever_asks(self, benchmark: Benchmark) -> None:
        for n in range(CONFIRMATIONS_PER_DAY + 3):
            email_subscribe(address="ada@example.org", benchmark=BenchmarkFactory() if n % 2 else None)
        assert Delivery.objects.count() == CONFIRMATIONS_PER_DAY
        email_subscribe(address="noor@example.org", benchmark=None)
        assert Delivery.objects.count() == CONFIRMATIONS_PER_DAY + 1
        Delivery.objects.update(created_at=timezone.now() - timedelta(days=1, minutes=1))
        email_subscribe(address="ada@example.org", benchmark=None)
        assert Delivery.objects.filter(subscription__address="ada@example.org").count() == (
            CONFIRMATIONS_PER_DAY + 1
        )

    def test_one_that_is_confirmed_is_not_asked_again(self, benchmark: Benchmark) -> None:
        reader("ada@example.org", benchmark)
        email_subscribe(address="ada@example.org", benchmark=benchmark)
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize(
        "address", ["", "ada", "ada@", "@example.org", "a b@example.org", "a@b\r\nBcc: c@d"]
    )
    def test_what_is_no_address(self, benchmark: Benchmark, address: str) -> None:
        with pytest.raises(RequestError, match="invalid"):
            email_subscribe(address=address, benchmark=benchmark)
        assert not Subscription.objects.exists()

    def test_what_was_on_its_way_is_not_sent_after_the_end(self, benchmark: Benchmark) -> None:
        subscription = reader("ada@example.org", benchmark)
        notify(Event.GENERATOR_PUBLISHED, benchmark, {})
        subscription_end(subscription)
        assert deliver_due().sent == 0
        assert mail.outbox == []

    def test_a_mail_server_that_is_away_is_asked_again(self, benchmark: Benchmark, settings: Any) -> None:
        reader("ada@example.org", benchmark)
        notify(Event.GENERATOR_PUBLISHED, benchmark, {})
        with receiver() as gone:
            port = gone.port
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        assert deliver_due().failed == 1
        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.last_status) == ("pending", None)
        assert delivery.last_error


class TestWebhooks:
    def test_its_secret_is_new_and_long(self, benchmark: Benchmark, owner: User) -> None:
        first = webhook_create(owner=owner, url="https://example.org/a", benchmark=benchmark)
        second = webhook_create(owner=owner, url="https://example.org/b", benchmark=benchmark)
        assert first.secret != second.secret
        assert len(base64.b64decode(first.secret.removeprefix("whsec_"))) == 32

    def test_twice_the_same_is_a_conflict_but_not_of_another_user(
        self, benchmark: Benchmark, owner: User
    ) -> None:
        for user in (owner, UserFactory()):
            webhook_create(owner=user, url="https://example.org/", benchmark=benchmark)
        webhook_create(owner=owner, url="https://example.org/", benchmark=None)
        with pytest.raises(RequestError, match="conflict"):
            webhook_create(owner=owner, url="https://example.org/", benchmark=benchmark)

    def test_there_is_a_limit(self, owner: User) -> None:
        for n in range(MAX_WEBHOOKS):
            webhook_create(owner=owner, url=f"https://example.org/{n}", benchmark=None)
        with pytest.raises(RequestError, match="webhook_limit"):
            webhook_create(owner=owner, url="https://example.org/more", benchmark=None)

    def test_a_second_ping_waits_for_the_first(self, owner: User) -> None:
        hook = webhook_create(owner=owner, url="https://example.org/", benchmark=None)
        assert webhook_ping(hook) == webhook_ping(hook)
        assert hook.deliveries.count() == 1
