"""The page of notifications: the switch of the mail of one's own entries, and what was sent."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from leaderboard.models import Delivery, Submission, User
from leaderboard.services.notifications import deliver_due
from leaderboard.services.submissions import submission_accept
from leaderboard.services.subscriptions import webhook_create
from protocols.states import SubmissionState
from tests.leaderboard.factories import BenchmarkFactory, SubmissionFactory, UserFactory

pytestmark = pytest.mark.django_db
PAGE = "/notifications/"


@pytest.fixture
def owner() -> User:
    made: User = UserFactory(username="ada", email="ada@example.org")
    return made


@pytest.fixture
def signed_in(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def read(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def accept(owner: User) -> Submission:
    entry: Submission = SubmissionFactory(owner=owner, name="<b>tides</b>", state=SubmissionState.TRIAL)
    submission_accept(entry)
    return entry


def test_a_visitor_signs_in_first() -> None:
    assert Client().get(PAGE).status_code == 302
    assert Client().post(PAGE, {"mail": "off"}).status_code == 302


def test_the_mail_is_on_and_can_be_switched_off_and_on(owner: User, signed_in: Client) -> None:
    assert "It goes to <b>ada@example.org</b>" in read(signed_in)
    assert signed_in.post(PAGE, {"mail": "off"}).url == PAGE
    html = read(signed_in)
    assert "No more mail of your entries." in html
    assert "Switch it on" in html
    accept(owner)
    assert not Delivery.objects.exists()
    signed_in.post(PAGE, {"mail": "on"})
    assert "Switch it off" in read(signed_in)
    accept(owner)
    assert Delivery.objects.count() == 1


def test_the_switch_needs_its_form(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(PAGE, {"mail": "off"}).status_code == 403


def test_what_was_sent_is_listed_escaped_and_to_nobody_else(owner: User, signed_in: Client) -> None:
    entry = accept(owner)
    deliver_due()
    html = read(signed_in)
    assert f'<a href="/submissions/{entry.pk}/">&lt;b&gt;tides&lt;/b&gt;</a>' in html
    assert "submission.accepted" in html
    stranger = Client()
    stranger.force_login(UserFactory(maintainer=True))
    assert "tides" not in read(stranger)


def test_it_says_why_nothing_is_sent(owner: User, signed_in: Client) -> None:
    EmailAddress.objects.create(user=owner, email="ada@example.org", verified=False, primary=True)
    assert "ada@example.org has not been confirmed" in read(signed_in)
    User.objects.filter(pk=owner.pk).update(email="")
    assert "Your account has no e-mail address" in read(signed_in)


def test_it_leads_to_all_else(owner: User, signed_in: Client) -> None:
    BenchmarkFactory(slug="faces-v1", name="Faces")
    assert "Make a webhook" in read(signed_in)
    hook = webhook_create(owner=owner, url="https://example.org/hook", benchmark=None, hears="entries")
    html = read(signed_in)
    for address in (f"/webhooks/{hook.pk}/", "/webhooks/", "/b/faces-v1/news/", "/b/faces-v1/arrivals.atom"):
        assert f'href="{address}"' in html
    assert "<td>entries</td>" in html
