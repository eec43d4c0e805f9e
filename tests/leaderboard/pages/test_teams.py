"""The pages of teams: from an invitation in a mail to handing the team over; and the desk's side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from leaderboard.models import Action, Invitation, Membership, Team, User
from tests.leaderboard.factories import PASSWORD, SubmissionFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_limit_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def owner(client: Client) -> User:
    user = UserFactory(username="ada")
    client.force_login(user)
    made = client.post("/teams/", {"slug": "lab", "name": "The <b>Lab</b>"})
    assert made.url == "/teams/lab/"
    return user


def roles() -> dict[str, str]:
    return dict(Membership.objects.filter(team__slug="lab").values_list("user__username", "role"))


def invited(client: Client, capture: Any, email: str = "noor@example.org") -> str:
    with capture(execute=True):
        client.post("/teams/lab/invite/", {"email": email, "role": "member"})
    return re.search(r"http://127\.0\.0\.1:8000(/invitations/\S+)", str(mail.outbox[-1].body))[1]  # type: ignore[index]


def test_a_newcomer_signs_up_through_the_link_and_joins(
    client: Client, owner: User, django_capture_on_commit_callbacks: Any
) -> None:
    link = invited(client, django_capture_on_commit_callbacks)
    browser = Client()
    page = browser.get(link)
    assert "The &lt;b&gt;Lab&lt;/b&gt;" in page.content.decode()
    assert (page["Referrer-Policy"], page["X-Robots-Tag"]) == ("no-referrer", "noindex")
    assert browser.post(link).url == f"/login/?next={link}"
    new = {"username": "noor", "email": "noor@example.org", "password1": PASSWORD, "next": link}
    assert browser.post("/signup/", new).url == link
    assert roles() == {"ada": "owner"}, "opening the link joins nothing"
    assert browser.post(link).url == "/teams/lab/"
    assert roles() == {"ada": "owner", "noor": "member"}
    assert "leads nowhere" in Client().get(link).content.decode()


def test_a_team_is_handed_over_and_left(client: Client, owner: User) -> None:
    lab = Team.objects.get(slug="lab")
    noor = UserFactory(username="noor")
    Membership.objects.create(team=lab, user=noor)
    alone = client.post("/teams/lab/members/ada/remove/", follow=True)
    assert "only owner" in alone.content.decode()
    client.post("/teams/lab/members/noor/role/", {"role": "instead"})
    assert roles() == {"ada": "member", "noor": "owner"}
    assert client.post("/teams/lab/members/noor/remove/").status_code == 403
    assert client.post("/teams/lab/members/ada/remove/").url == "/teams/"
    assert client.get("/teams/lab/").status_code == 404


def test_the_page_has_the_quotas_the_entries_and_for_owners_the_invitations(
    client: Client, owner: User, django_capture_on_commit_callbacks: Any
) -> None:
    lab = Team.objects.get(slug="lab")
    lab.max_active_runs = 0
    lab.save()
    SubmissionFactory(team=lab, owner=owner, name="secret-idea", visibility="private")
    invited(client, django_capture_on_commit_callbacks, "someone@example.org")
    html = client.get("/teams/lab/").content.decode()
    assert html.count("<progress") == 3
    assert "secret-idea" in html
    assert 'class="spent"' in html
    assert "someone@example.org" in html
    member = UserFactory()
    Membership.objects.create(team=lab, user=member)
    browser = Client()
    browser.force_login(member)
    seen = browser.get("/teams/lab/").content.decode()
    assert "secret-idea" in seen
    assert "someone@example.org" not in seen
    assert str(Invitation.objects.get().pk) not in seen


def test_maintainers_find_grant_and_close(client: Client, owner: User) -> None:
    browser = Client()
    browser.force_login(UserFactory(username="root-of-all", maintainer=True))
    found = browser.get("/desk/teams/?text=ada").content.decode()
    assert "/desk/teams/lab/" in found
    assert "No team fits." in browser.get("/desk/teams/?text=nobody-at-all").content.decode()
    grant = {"submissions_a_day": "50", "active_runs": "", "stored_gib": "1.5", "reason": "A course."}
    browser.post("/desk/teams/lab/quotas/", grant)
    lab = Team.objects.get(slug="lab")
    assert (lab.max_submissions_a_day, lab.max_active_runs, lab.max_stored_bytes) == (50, None, 3 * 2**29)
    assert 'value="1.5"' in browser.get("/desk/teams/lab/").content.decode()
    refused = browser.post("/desk/teams/lab/quotas/", {"active_runs": "-1"}, follow=True)
    assert "A quota is a number" in refused.content.decode()
    browser.post("/desk/accounts/ada/close/", {"reason": "Spam."})
    assert client.get("/account/").status_code == 302
    assert "closed" in browser.get("/desk/teams/ada/").content.decode()
    browser.post("/desk/accounts/ada/reopen/")
    assert User.objects.get(username="ada").is_active
    verbs = list(Action.objects.order_by("id").values_list("verb", "reason"))
    assert verbs == [("quotas set", "A course."), ("account closed", "Spam."), ("account reopened", "")]
