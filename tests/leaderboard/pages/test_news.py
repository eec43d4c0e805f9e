"""Asking for news by e-mail, confirming and ending it; and a user's webhooks on their pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from leaderboard.models import Benchmark, Delivery, Subscription, User
from leaderboard.services.notifications import Event, deliver_due, notify
from leaderboard.services.subscriptions import email_subscribe, webhook_create
from tests.leaderboard.factories import BenchmarkFactory, UserFactory
from tests.leaderboard.receiver import receiver

pytestmark = pytest.mark.django_db
FORM = "/b/faces-v1/news/"


@pytest.fixture(autouse=True)
def no_throttle_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def benchmark(db: None) -> Benchmark:
    made: Benchmark = BenchmarkFactory(slug="faces-v1", name="Faces")
    return made


def link_in(text: str, what: str) -> str:
    return re.search(rf"http://127\.0\.0\.1:8000(/news/[\w-]+/{what}/)", text)[1]


class TestEmail:
    def test_from_the_form_to_the_last_mail(self, benchmark: Benchmark, client: Client) -> None:
        answer = client.post(FORM, {"address": "ada@example.org"})
        assert "Look into your mail" in answer.content.decode()
        assert mail.outbox == [], "the request itself sends nothing"
        deliver_due()
        confirm = link_in(mail.outbox[0].body, "confirm")

        # A program that looks into mail opens the link, and nothing happens.
        assert "Yes, send it" in client.get(confirm).content.decode()
        notify(Event.GENERATOR_PUBLISHED, benchmark, {"generator": {"name": "Flow"}})
        assert deliver_due().sent == 0

        assert "Confirmed" in client.post(confirm).content.decode()
        assert "Confirmed" in client.post(confirm).content.decode(), "twice is harmless"
        notify(Event.GENERATOR_PUBLISHED, benchmark, {"generator": {"name": "Flow"}})
        deliver_due()
        assert mail.outbox[1].subject == "Flow has arrived on Faces"
        stop = link_in(mail.outbox[1].body, "unsubscribe")
        assert "Stop it" in client.get(stop).content.decode()
        assert Subscription.objects.count() == 1
        # One click of a mail program: no cookie, no page before it, no token of a form.
        answer = Client(enforce_csrf_checks=True).post(
            stop, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
        assert "No more mail" in answer.content.decode()
        assert not Subscription.objects.exists()
        assert client.get(stop).status_code == 404

    def test_the_answer_does_not_tell_whether_an_address_is_known(
        self, benchmark: Benchmark, client: Client
    ) -> None:
        email_subscribe(address="known@example.org", benchmark=benchmark)
        Subscription.objects.update(confirmed_at="2026-01-01T00:00Z")
        known = client.post(FORM, {"address": "known@example.org"})
        new = client.post(FORM, {"address": "other@example.org"})

        def page(answer: Any, address: str) -> str:
            return re.sub(r'value="\w{64}"', "", answer.content.decode()).replace(address, "")

        assert page(known, "known@example.org") == page(new, "other@example.org")

    def test_all_benchmarks(self, benchmark: Benchmark, client: Client) -> None:
        client.post(FORM, {"address": "ada@example.org", "all": "1"})
        assert Subscription.objects.get().benchmark is None

    def test_what_is_no_address_is_said(self, benchmark: Benchmark, client: Client) -> None:
        answer = client.post(FORM, {"address": '"><script>alert(1)</script>'})
        assert answer.status_code == 400
        assert 'role="alert"' in answer.content.decode()
        assert "<script>alert" not in answer.content.decode()
        assert not Subscription.objects.exists()

    def test_a_client_that_asks_too_often_waits(self, benchmark: Benchmark, client: Client) -> None:
        statuses = [client.post(FORM, {"address": f"a{n}@example.org"}).status_code for n in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        assert Subscription.objects.count() == 10

    def test_the_form_needs_its_token(self, benchmark: Benchmark) -> None:
        careful = Client(enforce_csrf_checks=True)
        assert careful.post(FORM, {"address": "ada@example.org"}).status_code == 403
        email_subscribe(address="ada@example.org", benchmark=benchmark)
        token = Subscription.objects.get().token
        assert careful.post(f"/news/{token}/confirm/").status_code == 403

    def test_a_token_is_long_and_its_page_is_kept_from_others(
        self, benchmark: Benchmark, client: Client
    ) -> None:
        email_subscribe(address="ada@example.org", benchmark=benchmark)
        token = Subscription.objects.get().token
        assert len(token) >= 40
        for action in ("confirm", "unsubscribe"):
            answer = client.get(f"/news/{token}/{action}/")
            assert answer["Referrer-Policy"] == "no-referrer"
            assert answer["X-Robots-Tag"] == "noindex"
            assert "no-store" in answer["Cache-Control"]
            assert client.post(f"/news/{token[:-1]}x/{action}/").status_code == 404

    def test_the_token_of_a_webhook_opens_nothing(self, benchmark: Benchmark, client: Client) -> None:
        hook = webhook_create(owner=UserFactory(), url="https://example.org/", benchmark=None)
        assert client.post(f"/news/{hook.token}/unsubscribe/").status_code == 404
        assert Subscription.objects.filter(pk=hook.pk).exists()


class TestWebhooks:
    @pytest.fixture
    def owner(self) -> User:
        made: User = UserFactory()
        return made

    @pytest.fixture
    def signed_in(self, owner: User) -> Client:
        client = Client()
        client.force_login(owner)
        return client

    def test_its_secret_is_shown_once(self, benchmark: Benchmark, signed_in: Client) -> None:
        answer = signed_in.post("/webhooks/", {"url": "https://example.org/hook", "benchmark": "faces-v1"})
        hook = Subscription.objects.get()
        assert answer.status_code == 201
        assert hook.secret in answer.content.decode()
        assert "no-store" in answer["Cache-Control"]
        assert hook.benchmark == benchmark
        for address in ("/webhooks/", f"/webhooks/{hook.pk}/"):
            html = signed_in.get(address).content.decode()
            assert "https://example.org/hook" in html
            assert hook.secret not in html

    @pytest.mark.parametrize("url", ["http://127.0.0.1/", "ftp://example.org/", "javascript:alert(1)", ""])
    def test_what_is_never_sent_to_is_said(self, benchmark: Benchmark, signed_in: Client, url: str) -> None:
        answer = signed_in.post("/webhooks/", {"url": url})
        assert answer.status_code == 400
        assert "on the public internet" in answer.content.decode()
        assert not Subscription.objects.exists()

    @pytest.mark.parametrize("hears", ["board", "entries", "all"])
    def test_what_it_hears_of_is_chosen_and_shown(self, signed_in: Client, hears: str) -> None:
        signed_in.post("/webhooks/", {"url": "https://example.org/", "hears": hears})
        hook = Subscription.objects.get()
        assert hook.hears == hears
        html = signed_in.get("/webhooks/").content.decode()
        assert f"<td>{'board and entries' if hears == 'all' else hears}</td>" in html

    @pytest.mark.parametrize("hears", ["nothing", "everything", ""])
    def test_what_it_can_not_hear_of(self, signed_in: Client, hears: str) -> None:
        data = {"url": "https://example.org/", "hears": hears}
        assert signed_in.post("/webhooks/", data).status_code == 400
        assert not Subscription.objects.exists()

    def test_an_unknown_benchmark(self, signed_in: Client) -> None:
        data = {"url": "https://example.org/", "benchmark": "nothing"}
        assert signed_in.post("/webhooks/", data).status_code == 400
        assert not Subscription.objects.exists()

    def test_a_test_is_sent_and_logged(self, signed_in: Client, owner: User, settings: Any) -> None:
        settings.WEBHOOK_ALLOW = ["127.0.0.1"]
        with receiver() as here:
            hook = webhook_create(owner=owner, url=here.url, benchmark=None)
            page = f"/webhooks/{hook.pk}/"
            here.answers = [410]
            html = signed_in.post(f"{page}ping/", follow=True).content.decode()
            assert "pending" in html
            assert 'hx-trigger="every 3s"' in html
            partial = signed_in.get(page, headers={"HX-Request": "true"}).content.decode()
            assert "<html" not in partial
            assert partial.strip() in html
            deliver_due()
            html = signed_in.get(page).content.decode()
            assert "The receiver answered 410." in html
            Delivery.objects.update(next_attempt_at=None, delivered_at="2026-01-01T00:00Z")
            html = signed_in.get(page).content.decode()
            assert "delivered" in html
            assert "hx-trigger" not in html
        assert len(here.got) == 1

    def test_what_a_receiver_says_stays_text(self, signed_in: Client, owner: User) -> None:
        hook = webhook_create(owner=owner, url="https://example.org/?a=<b>&c='x'", benchmark=None)
        signed_in.post(f"/webhooks/{hook.pk}/ping/")
        Delivery.objects.update(last_error="<script>alert(1)</script>")
        for address in ("/webhooks/", f"/webhooks/{hook.pk}/"):
            html = signed_in.get(address).content.decode()
            assert "<script>alert" not in html
            assert "<b>&" not in html

    def test_nobody_else_sees_or_ends_it(self, signed_in: Client) -> None:
        hook = webhook_create(owner=UserFactory(), url="https://example.org/other", benchmark=None)
        maintainer = Client()
        maintainer.force_login(UserFactory(maintainer=True))
        for client in (signed_in, maintainer):
            assert client.get(f"/webhooks/{hook.pk}/").status_code == 404
            assert client.post(f"/webhooks/{hook.pk}/ping/").status_code == 404
            assert client.post(f"/webhooks/{hook.pk}/delete/").status_code == 404
            assert "other" not in client.get("/webhooks/").content.decode()
        assert Client().get("/webhooks/").status_code == 302
        assert Client().post(f"/webhooks/{hook.pk}/delete/").status_code == 302
        assert Subscription.objects.filter(pk=hook.pk).exists()

    def test_its_owner_ends_it(self, signed_in: Client, owner: User) -> None:
        hook = webhook_create(owner=owner, url="https://example.org/", benchmark=None)
        assert signed_in.get(f"/webhooks/{hook.pk}/delete/").status_code == 405
        assert signed_in.post(f"/webhooks/{hook.pk}/delete/").url == "/webhooks/"
        assert not Subscription.objects.exists()
