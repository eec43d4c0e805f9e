"""Teams through the API: making, inviting, joining, leaving; what maintainers grant and close."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from leaderboard.models import Action, Invitation, Subscription, Team, User
from leaderboard.services.subscriptions import webhook_create
from leaderboard.services.teams import MAX_OPEN_INVITATIONS
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import (
    PASSWORD,
    BenchmarkFactory,
    SubmissionFactory,
    UploadFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
TEAMS = "/api/v1/teams/"
LAB = f"{TEAMS}lab/"


def error(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.content
    return str(answer.json()["errors"][0]["code"])


@pytest.fixture
def lab(owner: APIClient) -> Team:
    """The team of ``submitter``, who is ``owner``."""
    answer = owner.post(TEAMS, {"slug": "lab", "name": "The Lab"})
    assert (answer.status_code, answer["Location"]) == (201, LAB)
    return Team.objects.get(slug="lab")


@pytest.fixture
def link(owner: APIClient, lab: Team, django_capture_on_commit_callbacks: Any) -> Any:
    """Invites an address and gives the key in the mail."""

    def invite(email: str = "noor@example.org", role: str = "member") -> str:
        with django_capture_on_commit_callbacks(execute=True):
            answer = owner.post(f"{LAB}invitations/", {"email": email, "role": role})
        assert answer.status_code == 201, answer.content
        assert mail.outbox[-1].to == [email]
        return re.search(r"/invitations/(\S+)/", str(mail.outbox[-1].body))[1]  # type: ignore[index]

    return invite


def accept(client: APIClient, key: str) -> Any:
    return client.post(f"/api/v1/invitations/{key}/accept/")


def test_who_makes_a_team_owns_it(owner: APIClient, submitter: User, lab: Team) -> None:
    team = owner.get(LAB).json()
    assert (team["role"], team["members"], team["entries"], team["is_personal"]) == ("owner", 1, 0, False)
    assert team["quotas"]["active_runs"] == {"used": 0, "limit": 20}
    (member,) = owner.get(f"{LAB}members/").json()
    assert (member["username"], member["role"]) == (submitter.username, "owner")


@pytest.mark.parametrize("slug", ["A", "a", "admin", "-a", "a b", "ä" * 5, "x" * 60, "tidemark"])
def test_a_short_name_is_short_plain_and_not_reserved(owner: APIClient, slug: str) -> None:
    assert error(owner.post(TEAMS, {"slug": slug, "name": "X"}), 400) == "invalid"


def test_nobody_takes_somebody_elses_name(owner: APIClient, lab: Team) -> None:
    UserFactory(username="Grace")
    assert error(owner.post(TEAMS, {"slug": "lab", "name": "X"}), 409) == "conflict"
    assert error(owner.post(TEAMS, {"slug": "grace", "name": "X"}), 409) == "conflict"


def test_quotas_are_not_multiplied_by_making_teams(owner: APIClient, settings: LazySettings) -> None:
    settings.QUOTA_TEAMS = 2
    assert owner.post(TEAMS, {"slug": "t1", "name": "X"}).status_code == 201
    assert owner.post(TEAMS, {"slug": "t2", "name": "X"}).status_code == 201
    assert error(owner.post(TEAMS, {"slug": "t3", "name": "X"}), 409) == "team_limit"


def test_the_link_in_the_mail_serves_once(link: Any, client_of: ClientOf) -> None:
    key = link()
    newcomer, second = client_of(UserFactory()), client_of(UserFactory())
    assert newcomer.get(LAB).status_code == 404
    joined = accept(newcomer, key)
    assert (joined.status_code, joined.json()["role"]) == (200, "member")
    assert newcomer.get(LAB).status_code == 200
    assert error(accept(second, key), 404) == "not_found"


def test_a_link_expires_after_seven_days_and_can_be_taken_back(
    link: Any, owner: APIClient, client_of: ClientOf
) -> None:
    key = link()
    newcomer = client_of(UserFactory())
    found = Invitation.objects.get()
    assert timedelta(days=6, hours=23) < found.expires_at - timezone.now() <= timedelta(days=7)
    Invitation.objects.update(expires_at=timezone.now())
    assert error(accept(newcomer, key), 404) == "not_found"
    key = link()
    (listed,) = owner.get(f"{LAB}invitations/").json()
    assert owner.delete(f"{LAB}invitations/{listed['id']}/").status_code == 204
    assert error(accept(newcomer, key), 404) == "not_found"


def test_the_id_alone_opens_nothing(link: Any, owner: APIClient, client_of: ClientOf) -> None:
    key = link()
    newcomer = client_of(UserFactory())
    (listed,) = owner.get(f"{LAB}invitations/").json()
    assert error(accept(newcomer, listed["id"]), 404) == "not_found"
    assert error(accept(newcomer, key[:-1] + ("a" if key[-1] != "a" else "b")), 404) == "not_found"
    assert error(accept(newcomer, "%00"), 404) == "not_found"


def test_a_link_can_be_sent_again_but_not_at_once(link: Any, owner: APIClient) -> None:
    link()
    (listed,) = owner.get(f"{LAB}invitations/").json()
    resend = f"{LAB}invitations/{listed['id']}/resend/"
    assert error(owner.post(resend), 409) == "invitation_limit"
    Invitation.objects.update(
        sent_at=timezone.now() - timedelta(minutes=11), expires_at=timezone.now() + timedelta(1)
    )
    again = owner.post(resend).json()
    assert again["expires_at"] > listed["sent_at"]
    assert Invitation.objects.get().expires_at > timezone.now() + timedelta(days=6)


def test_inviting_is_bounded(link: Any, owner: APIClient, lab: Team, submitter: User) -> None:
    link()
    assert error(owner.post(f"{LAB}invitations/", {"email": "Noor@Example.org"}), 409) == "conflict"
    Invitation.objects.bulk_create(
        Invitation(team=lab, email=f"p{n}@example.org", invited_by=submitter)
        for n in range(MAX_OPEN_INVITATIONS - 1)
    )
    assert error(owner.post(f"{LAB}invitations/", {"email": "q@example.org"}), 409) == "invitation_limit"
    assert error(owner.post(f"{LAB}invitations/", {"email": "no address"}), 400) == "invalid"


def test_inviting_is_throttled_by_itself(owner: APIClient, lab: Team, settings: LazySettings) -> None:
    settings.THROTTLES = settings.THROTTLES | {"invitations": "2/h"}
    statuses = [
        owner.post(f"{LAB}invitations/", {"email": f"p{n}@example.org"}).status_code for n in range(3)
    ]
    assert statuses == [201, 201, 429]
    assert owner.get(f"{LAB}invitations/").status_code == 200


def test_a_team_that_is_one_person_stays_so(owner: APIClient, submitter: User) -> None:
    (team,) = owner.get("/api/v1/me/").json()["teams"]
    address = f"{TEAMS}{team['slug']}/"
    assert error(owner.post(f"{address}invitations/", {"email": "a@example.org"}), 409) == "personal_team"
    assert error(owner.delete(f"{address}members/{submitter.username}/"), 409) == "last_owner"
    assert error(owner.delete(address), 409) == "team_in_use"


def test_a_team_always_has_an_owner(
    owner: APIClient, submitter: User, link: Any, client_of: ClientOf
) -> None:
    other = UserFactory()
    member = client_of(other)
    accept(member, link())
    me, them = f"{LAB}members/{submitter.username}/", f"{LAB}members/{other.username}/"
    assert error(owner.delete(me), 409) == "last_owner"
    assert error(owner.patch(me, {"role": "member"}), 409) == "last_owner"
    assert error(member.patch(them, {"role": "owner"}), 403) == "permission_denied"
    assert owner.patch(them, {"role": "owner"}).json()["role"] == "owner"
    assert owner.delete(me).status_code == 204
    assert owner.get(LAB).status_code == 404
    assert member.get(LAB).json()["role"] == "owner"


def test_members_leave_and_are_removed_and_their_entries_stay(
    owner: APIClient, lab: Team, link: Any, client_of: ClientOf
) -> None:
    other = UserFactory()
    member = client_of(other)
    accept(member, link())
    entry = SubmissionFactory(team=lab, owner=other, visibility="private")
    assert member.get(f"/api/v1/submissions/{entry.pk}/").status_code == 200
    assert member.delete(f"{LAB}members/{other.username}/").status_code == 204
    assert member.get(f"/api/v1/submissions/{entry.pk}/").status_code == 404
    assert owner.get(f"/api/v1/submissions/{entry.pk}/").status_code == 200
    accept(member, link("again@example.org"))
    assert owner.delete(f"{LAB}members/{other.username}/").status_code == 204
    assert member.get(LAB).status_code == 404


def test_only_an_empty_team_is_deleted(owner: APIClient, lab: Team, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, team=lab)
    assert error(owner.delete(LAB), 409) == "team_in_use"
    upload.delete()
    assert owner.delete(LAB).status_code == 204
    assert not Team.objects.filter(slug="lab").exists()


def test_a_team_is_entered_for_and_its_quota_counts(
    owner: APIClient, lab: Team, maintainer: APIClient
) -> None:
    granted = maintainer.patch(f"{LAB}quotas/", {"submissions_a_day": 0, "reason": "A pause."})
    assert granted.json()["quotas"]["submissions_a_day"] == {"used": 0, "limit": 0}
    body = {"benchmark": BenchmarkFactory().slug, "name": "d", "team": "lab"}
    draft = owner.post("/api/v1/submissions/", body).json()
    assert draft["team"] == "lab"
    upload = UploadFactory(owner=lab.memberships.get().user, team=lab)
    attached = owner.post(f"/api/v1/submissions/{draft['id']}/upload/", {"upload": str(upload.pk)})
    assert error(attached, 429) == "quota_submissions"


def test_what_a_maintainer_grants_is_in_the_log(maintainer: APIClient, lab: Team) -> None:
    maintainer.patch(f"{LAB}quotas/", {"active_runs": 50, "stored_bytes": 10**13, "reason": "A course."})
    (line,) = Action.objects.all()
    assert (line.verb, line.subject, line.reason) == ("quotas set", "lab", "A course.")
    assert line.detail["max_active_runs"] == {"old": None, "new": 50}
    again = maintainer.patch(f"{LAB}quotas/", {"active_runs": None}).json()["quotas"]
    assert again["active_runs"]["limit"] == 20
    assert again["stored_bytes"]["limit"] == 10**13, "what is left out stays"
    assert error(maintainer.patch(f"{LAB}quotas/", {"active_runs": -1}), 400) == "invalid"
    assert error(maintainer.patch(f"{LAB}quotas/", {"active_runs": 2**31}), 400) == "invalid"


def test_a_maintainer_who_acts_on_a_foreign_team_is_in_the_log(maintainer: APIClient, lab: Team) -> None:
    assert maintainer.patch(LAB, {"name": "Another"}).json()["name"] == "Another"
    assert [line.verb for line in Action.objects.all()] == ["team changed"]


def test_a_closed_account_is_out_at_once(
    maintainer: APIClient, owner: APIClient, submitter: User, visitor: APIClient
) -> None:
    browser = Client()
    browser.force_login(submitter)
    webhook_create(owner=submitter, url="https://example.org/hook", benchmark=None)
    address = f"/api/v1/accounts/{submitter.username}"
    assert error(owner.post(f"{address}/close/"), 403) == "permission_denied"
    closed = maintainer.post(f"{address}/close/", {"reason": "Spam."})
    assert closed.json() == {"username": submitter.username, "is_active": False}
    assert owner.get("/api/v1/me/").status_code == 401
    assert browser.get("/account/").status_code == 302
    assert not Subscription.objects.exists()
    assert Action.objects.get().detail == {"tokens": 1}
    assert error(maintainer.post(f"{address}/close/"), 409) == "conflict"

    assert maintainer.post(f"{address}/reopen/").json()["is_active"] is True
    assert owner.get("/api/v1/me/").status_code == 401, "tokens that ended stay ended"
    assert browser.get("/account/").status_code == 302, "sessions too"
    body = {"username": submitter.username, "password": PASSWORD}
    assert error(visitor.post("/api/v1/tokens/", body), 401) == "authentication_failed"
    assert error(maintainer.post(f"{address}/reopen/"), 409) == "conflict"


def test_nobody_closes_the_own_account(client_of: ClientOf) -> None:
    me = UserFactory(maintainer=True)
    assert error(client_of(me).post(f"/api/v1/accounts/{me.username}/close/"), 409) == "conflict"
    assert error(client_of(me).post("/api/v1/accounts/%00/close/"), 404) == "not_found"


def test_the_list_is_ones_own_and_maintainers_find_the_rest(
    owner: APIClient, lab: Team, client_of: ClientOf, maintainer: APIClient
) -> None:
    def slugs(client: APIClient, query: str = "") -> set[str]:
        return {team["slug"] for team in client.get(TEAMS + query).json()["results"]}

    stranger = client_of(UserFactory())
    assert "lab" in slugs(owner)
    assert slugs(stranger) == set()
    assert "lab" in slugs(maintainer)
    assert "lab" not in slugs(maintainer, "?mine=true")
    assert slugs(maintainer, f"?member={lab.memberships.get().user.username}") >= {"lab"}
    first = maintainer.get(f"{TEAMS}?page_size=1").json()
    assert len(first["results"]) == 1
