"""The pages on which a detector is entered, and the commands that they tell."""

from __future__ import annotations

import hashlib
import html
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from leaderboard.models import Membership, Submission, Team, Upload, User
from leaderboard.services.accounts import token_create
from leaderboard.services.teams import personal_team
from protocols.states import SubmissionState
from tests.leaderboard.factories import BenchmarkFactory, SubmissionFactory, UploadFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db: None) -> User:
    return UserFactory()


@pytest.fixture
def signed_in(user: User, client: Client) -> Client:
    client.force_login(user)
    return client


def fields(user: User, **changes: str) -> dict[str, str]:
    known = {"benchmark": "waves", "team": personal_team(user).slug, "name": "ebb", "visibility": "public"}
    return known | {"seed": "0"} | changes


def test_visitors_sign_in_first(client: Client) -> None:
    draft = SubmissionFactory(draft=True)
    for path in (reverse("enter"), reverse("enter-upload", args=[draft.pk])):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, f"{reverse('login')}?next={path}")


def test_the_form_makes_a_draft_and_goes_on_to_its_upload(signed_in: Client, user: User) -> None:
    benchmark = BenchmarkFactory(slug="waves")
    team = Team.objects.create(slug="shore", name="Shore")
    Membership.objects.create(team=team, user=user)
    sent = fields(user, team="shore", visibility="private", paper_url="https://example.org/p")
    answer = signed_in.post(reverse("enter"), sent)
    made = Submission.objects.get()
    assert answer["Location"] == reverse("enter-upload", args=[made.pk])
    assert (made.owner, made.team, made.benchmark) == (user, team, benchmark)
    assert (made.state, made.visibility) == (SubmissionState.DRAFT, "private")
    page = signed_in.get(answer["Location"]).content.decode()
    assert 'data-team="shore"' in page
    assert "data-url" not in page


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"team": "dunes"}, "Select a valid choice."),
        ({"benchmark": "none"}, "Select a valid choice."),
        ({"name": ""}, "This field is required."),
        ({"name": "taken"}, "has an entry &#x27;taken&#x27; on waves already."),
        ({"paper_url": "javascript:alert(1)"}, "Enter a valid URL."),
        ({"seed": str(2**31)}, "Ensure this value is less than or equal to"),
        ({"declared_cutoff": "soon"}, "Enter a valid date."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    signed_in: Client, user: User, changes: dict[str, str], text: str
) -> None:
    Team.objects.create(slug="dunes", name="A team of others")
    taken = SubmissionFactory(owner=user, benchmark=BenchmarkFactory(slug="waves"), name="taken")
    answer = signed_in.post(reverse("enter"), fields(user, **changes))
    assert answer.status_code == 400
    assert text in answer.content.decode()
    assert list(Submission.objects.all()) == [taken]


def test_an_upload_page_is_for_the_team_alone(signed_in: Client, user: User) -> None:
    strangers = SubmissionFactory(draft=True)
    assert signed_in.get(reverse("enter-upload", args=[strangers.pk])).status_code == 404
    public = SubmissionFactory()
    assert signed_in.get(reverse("enter-upload", args=[public.pk])).status_code == 403
    own = SubmissionFactory(owner=user)
    answer = signed_in.get(reverse("enter-upload", args=[own.pk]))
    assert answer["Location"] == reverse("submission", args=[own.pk])


def test_a_member_sees_who_else_uploads_and_can_not_meddle(signed_in: Client, user: User) -> None:
    draft = SubmissionFactory(draft=True, state=SubmissionState.UPLOADING)
    Membership.objects.create(team=draft.team, user=user)
    draft.upload = UploadFactory(owner=draft.owner, length=100, filename="<b>.tar")
    draft.save()
    page = signed_in.get(reverse("enter-upload", args=[draft.pk])).content.decode()
    assert f"{draft.owner.username} began this upload" in page
    assert 'id="upload"' not in page
    assert "&lt;b&gt;.tar" in page
    assert 'max="100"' in page
    listed = signed_in.get(reverse("enter")).content.decode()
    assert re.search(r"7 % of 100", listed)


def test_a_stalled_upload_shows_where_to_go_on(signed_in: Client, user: User) -> None:
    upload = UploadFactory(owner=user, length=100)
    entry = SubmissionFactory(owner=user, draft=True, state=SubmissionState.UPLOADING, upload=upload)
    path = reverse("submission", args=[entry.pk])
    assert "Go on with the upload" not in signed_in.get(path).content.decode()
    os.utime(upload.path, (0, 0))
    assert "Go on with the upload" in signed_in.get(path).content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_commands_of_the_page_upload_and_go_on(live_server: LiveServer, tmp_path: Path) -> None:
    user = UserFactory()
    draft = SubmissionFactory(owner=user, draft=True)
    (tmp_path / "image.tar").write_bytes(os.urandom(300_000))
    token = token_create(user, ttl=timedelta(hours=1)).token
    client = Client()
    client.force_login(user)

    def run(change: str = "") -> None:
        page = client.get(
            reverse("enter-upload", args=[draft.pk]), HTTP_HOST=live_server.url.removeprefix("http://")
        )
        script = html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", page.content.decode(), re.S)[-1])
        if change:
            assert change in script
            script = script.replace(change, "head -c 100000 image.tar", 1).replace(
                '-H "Content-Length: $(($(stat -c %s image.tar) - O))"', "-H 'Content-Length: 100000'"
            )
        env = {**os.environ, "TIDEMARK_TOKEN": token}
        done = subprocess.run(
            ["bash", "-euc", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    run(change="tail -c +$((O + 1)) image.tar")
    draft.refresh_from_db()
    assert (draft.state, Upload.objects.get().offset) == (SubmissionState.UPLOADING, 100_000)
    assert Upload.objects.get().team == draft.team
    run()
    draft.refresh_from_db()
    assert draft.state == SubmissionState.CHECKING
    digest = hashlib.sha256((tmp_path / "image.tar").read_bytes()).hexdigest()
    assert Upload.objects.get().sha256 == digest
