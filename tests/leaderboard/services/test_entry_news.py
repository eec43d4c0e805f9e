"""A team hears of its own entries, once, by mail and webhook; nobody else hears of them at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from leaderboard.models import (
    Delivery,
    FirstContact,
    Hears,
    Membership,
    Run,
    RunScore,
    Step,
    Submission,
    Subscription,
    Team,
    User,
    Visibility,
)
from leaderboard.services import entry_news, runs
from leaderboard.services.leases import claim_step, release
from leaderboard.services.moves import move
from leaderboard.services.notifications import OWN, account_mail, deliver_due
from leaderboard.services.submissions import submission_accept, submission_reject
from leaderboard.services.subscriptions import account_mail_switch, email_subscribe, webhook_create
from protocols.contract import Phase
from protocols.errors import CATALOGUE, ParticipantError, PlatformError
from protocols.states import RunState, StepState, SubmissionState
from tests.leaderboard.factories import (
    BenchmarkFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
    UserFactory,
)
from tests.leaderboard.receiver import Receiver, receiver

pytestmark = pytest.mark.django_db

EMAIL = "ada@example.org"


@pytest.fixture
def here(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    with receiver() as running:
        yield running


@pytest.fixture
def submission(db: None) -> Submission:
    """A private entry of a team of two, under trial."""
    owner, member = (
        UserFactory(username="ada", email=EMAIL),
        UserFactory(username="noor", email="noor@example.org"),
    )
    team = Team.objects.create(slug="waves", name="Waves")
    for user in (owner, member):
        Membership.objects.create(team=team, user=user)
    made: Submission = SubmissionFactory(
        owner=owner,
        team=team,
        benchmark=BenchmarkFactory(slug="faces-v1", name="Faces"),
        name="tides",
        state=SubmissionState.TRIAL,
        visibility=Visibility.PRIVATE,
    )
    return made


def member(submission: Submission) -> User:
    return submission.team.members.get(username="noor")


def fail(
    submission: Submission, code: str = "container_exit", detail: str = "It ended by ValueError."
) -> Run:
    """A run of the submission whose training fails."""
    run: Run = RunFactory(submission=submission)
    step = StepFactory(run=run, window=1, state=StepState.RUNNING)
    runs.step_fail(step, ParticipantError(code, detail))
    return run


def told() -> list[tuple[str, str]]:
    """What is in the outbox, and to whom."""
    return sorted(
        (row.event, row.subscription.owner.username if row.subscription.owner else row.subscription.address)
        for row in Delivery.objects.all()
    )


def sent(here: Receiver) -> list[dict[str, Any]]:
    deliver_due(budget_s=20)
    return [json.loads(got.body) for got in here.got]


def test_an_accepted_entry_is_told_to_who_entered_it_and_to_the_teams_webhooks(
    submission: Submission, here: Receiver
) -> None:
    webhook_create(owner=member(submission), url=here.url, benchmark=None)
    submission_accept(submission)
    assert told() == [("submission.accepted", "ada"), ("submission.accepted", "noor")]
    (body,) = sent(here)
    assert body["event"] == "submission.accepted"
    assert body["benchmark"] == {"slug": "faces-v1", "name": "Faces"}
    url = f"http://127.0.0.1:8000/submissions/{submission.pk}/"
    assert body["submission"] == {"id": str(submission.pk), "name": "tides", "team": "waves", "url": url}
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == ([EMAIL], "tides was accepted on Faces")
    assert url in letter.body
    assert "error" not in body


def test_a_rejection_tells_the_code_the_sentence_and_the_fix(submission: Submission, here: Receiver) -> None:
    webhook_create(owner=submission.owner, url=here.url, benchmark=submission.benchmark)
    submission_reject(submission, ParticipantError("archive_labels", "The image has no labels."))
    (body,) = sent(here)
    entry = CATALOGUE["archive_labels"]
    assert body["error"] == {
        "code": "archive_labels",
        "owner": "participant",
        "what": entry.what,
        "detail": "The image has no labels.",
        "fix": entry.fix,
    }
    (letter,) = mail.outbox
    assert letter.subject == "tides was not accepted on Faces: archive_labels"
    for words in (entry.what, "The image has no labels.", entry.fix, "archive_labels"):
        assert words in letter.body
    assert "platform" not in letter.body


def test_a_platform_that_gives_up_says_so(submission: Submission, settings: Any) -> None:
    settings.MAX_ATTEMPTS = 1
    Submission.objects.filter(pk=submission.pk).update(lease_token=7, attempts=1)
    submission.refresh_from_db()
    release(submission, reason="The engine is away.", counts=True, error=PlatformError("engine_unavailable"))
    deliver_due()
    (letter,) = mail.outbox
    assert letter.subject == "tides was not accepted on Faces: attempts_exhausted"
    assert "costs you nothing of your quota" in letter.body


def test_a_run_that_failed_tells_why(submission: Submission, here: Receiver) -> None:
    webhook_create(owner=submission.owner, url=here.url, benchmark=None, hears=Hears.ENTRIES)
    run = fail(submission)
    (body,) = sent(here)
    assert body["event"] == "run.failed"
    assert body["run"] == {"id": run.pk, "edition": run.edition.number, "seed": 0}
    assert body["error"]["detail"] == "train at window 1: It ended by ValueError."
    assert "scores" not in body
    (letter,) = mail.outbox
    assert letter.subject == "tides has failed on Faces: container_exit"
    assert "train at window 1: It ended by ValueError." in letter.body


def test_a_run_that_is_done_tells_its_headline(submission: Submission, here: Receiver) -> None:
    webhook_create(owner=submission.owner, url=here.url, benchmark=None)
    run = RunFactory(submission=submission)
    entry_news.tell_run(run)
    assert told() == [], "it is under way"
    move(run, RunState.SUCCEEDED, finished_at=timezone.now())
    RunScore.objects.create(run=run, period="next", value=0.81234, low=0.79, high=0.83, n_windows=3)
    RunScore.objects.create(run=run, period="whole", value=None, n_windows=0)
    entry_news.tell_run(run)
    (body,) = sent(here)
    assert body["scores"] == {
        "next": {"value": 0.81234, "low": 0.79, "high": 0.83},
        "whole": {"value": None, "low": None, "high": None},
    }
    (letter,) = mail.outbox
    assert letter.subject == "tides is done on Faces"
    assert "On the next window: 0.812 (0.790 to 0.830)\n" in letter.body
    assert "On all of them: undefined\n" in letter.body


def test_a_run_that_was_cancelled_is_no_news(submission: Submission) -> None:
    run = RunFactory(submission=submission, state=RunState.CANCELLED)
    entry_news.tell_run(run)
    assert told() == []


@pytest.mark.parametrize("went_well", [True, False])
def test_a_newcomer_that_was_met(submission: Submission, here: Receiver, went_well: bool) -> None:
    webhook_create(owner=submission.owner, url=here.url, benchmark=None)
    unit = UnitFactory(benchmark=submission.benchmark)
    run = RunFactory(submission=submission, state=RunState.SUCCEEDED)
    step = StepFactory(run=run, phase=Phase.PREDICT, unit=unit, state=StepState.RUNNING)
    if went_well:
        FirstContact.objects.create(
            submission=submission,
            seed=0,
            generator=unit.generator,
            unit=unit,
            edition=run.edition,
            window=1,
            state_key=step.key,
            prospective=True,
            roc_auc=0.75,
            tp=9,
            tn=9,
            fp=1,
            fn=1,
        )
        entry_news.tell_met(step)
    else:
        runs.step_fail(step, ParticipantError("predictions_nan"))
    (body,) = sent(here)
    assert body["event"] == "submission.first_contact"
    assert body["generator"]["slug"] == unit.generator.slug
    assert body["roc_auc"] == (0.75 if went_well else None)
    (letter,) = mail.outbox
    did = "has met" if went_well else "could not be scored on"
    assert letter.subject == f"tides {did} {unit.generator.name} on Faces"
    assert ("AUROC at first contact: 0.750" in letter.body) is went_well
    assert ("predictions_nan" in letter.body) is not went_well


def test_a_newcomer_that_was_withdrawn_meanwhile_is_no_news(submission: Submission) -> None:
    unit = UnitFactory(benchmark=submission.benchmark)
    run = RunFactory(submission=submission)
    entry_news.tell_met(StepFactory(run=run, phase=Phase.PREDICT, unit=unit, state=StepState.SUCCEEDED))
    assert told() == []


def test_telling_twice_reaches_nobody_twice_and_failing_twice_does(submission: Submission) -> None:
    run = fail(submission)
    for _ in range(2):
        entry_news.tell_run(run)
    assert told() == [("run.failed", "ada")]
    runs.run_retry(run, actor="ada")
    step = claim_step("w1")
    assert step is not None
    with transaction.atomic():
        runs.step_fail(step, ParticipantError("container_exit"))
    assert told() == [("run.failed", "ada")] * 2


def test_what_did_not_happen_is_not_told(submission: Submission) -> None:
    with transaction.atomic():
        submission_accept(submission)
        assert told() == [("submission.accepted", "ada")]
        transaction.set_rollback(True)
    assert told() == []


def test_strangers_readers_and_maintainers_never_hear_of_an_entry(submission: Submission) -> None:
    stranger, boss = UserFactory(email="eve@example.org"), UserFactory(maintainer=True)
    for user in (stranger, boss):
        for hears in (Hears.ALL, Hears.ENTRIES, Hears.BOARD):
            webhook_create(owner=user, url=f"https://example.org/{hears}", benchmark=None, hears=hears)
        account_mail(user)
    email_subscribe(address="reader@example.org", benchmark=None)
    Subscription.objects.filter(address="reader@example.org").update(confirmed_at=timezone.now())
    Delivery.objects.all().delete()
    submission_accept(submission)
    fail(submission)
    assert {who for _, who in told()} == {"ada"}


def test_a_webhook_hears_what_it_asked_for(submission: Submission) -> None:
    for hears in (Hears.ALL, Hears.ENTRIES, Hears.BOARD):
        webhook_create(
            owner=submission.owner, url=f"https://example.org/{hears}", benchmark=None, hears=hears
        )
    webhook_create(
        owner=submission.owner, url="https://example.org/other", benchmark=BenchmarkFactory(), hears=Hears.ALL
    )
    submission_accept(submission)
    assert sorted(Delivery.objects.values_list("subscription__address", flat=True)) == [
        "",
        "https://example.org/all",
        "https://example.org/entries",
    ]


def test_who_left_the_team_hears_no_more_not_even_of_what_was_on_its_way(
    submission: Submission, here: Receiver
) -> None:
    webhook_create(owner=member(submission), url=here.url, benchmark=None)
    submission_accept(submission)
    Membership.objects.filter(team=submission.team).delete()
    assert sent(here) == []
    assert mail.outbox == []
    rows = Delivery.objects.all()
    assert {(row.status, row.last_error) for row in rows} == {
        ("failed", "Its owner is no member of the team any more.")
    }
    assert deliver_due().sent == 0
    fail(submission)
    assert {event for event, _ in told()} == {"submission.accepted"}


def test_a_closed_account_hears_nothing(submission: Submission) -> None:
    User.objects.filter(pk=submission.owner_id).update(is_active=False)
    submission_accept(submission)
    assert told() == []


class TestMail:
    def test_it_is_on_until_it_is_switched_off_and_can_be_switched_on_again(
        self, submission: Submission
    ) -> None:
        account_mail_switch(submission.owner, on=False)
        submission_accept(submission)
        assert told() == []
        account_mail_switch(submission.owner, on=True)
        fail(submission)
        assert told() == [("run.failed", "ada")]

    def test_what_is_on_its_way_is_not_sent_after_it_was_switched_off(self, submission: Submission) -> None:
        submission_accept(submission)
        account_mail_switch(submission.owner, on=False)
        deliver_due()
        assert mail.outbox == []

    def test_one_click_in_a_mail_switches_it_off_for_good(self, submission: Submission) -> None:
        submission_accept(submission)
        deliver_due()
        stop = (
            mail.outbox[0].extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://127.0.0.1:8000")
        )
        assert mail.outbox[0].extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert stop in mail.outbox[0].body
        client = Client(enforce_csrf_checks=True)
        assert "Switch it off" in client.get(stop).content.decode()
        assert "No more mail of your entries" in client.post(stop).content.decode()
        fail(submission)
        deliver_due()
        assert len(mail.outbox) == 1
        assert client.get(stop.replace("unsubscribe", "confirm")).status_code == 404
        assert "No more mail" in client.get(stop).content.decode()

    def test_it_goes_to_the_address_of_the_day(self, submission: Submission) -> None:
        submission_accept(submission)
        User.objects.filter(pk=submission.owner_id).update(email="new@example.org")
        deliver_due()
        assert mail.outbox[0].to == ["new@example.org"]

    @pytest.mark.parametrize(("how", "n_sent"), [("optional", 0), ("mandatory", 0), ("none", 1)])
    def test_an_address_that_was_never_confirmed_may_be_somebody_elses(
        self, submission: Submission, settings: Any, how: str, n_sent: int
    ) -> None:
        settings.EMAIL_CONFIRMATION = how
        address = EmailAddress.objects.create(
            user=submission.owner, email=EMAIL, verified=False, primary=True
        )
        submission_accept(submission)
        deliver_due()
        assert len(mail.outbox) == n_sent
        address.verified = True
        address.save()
        fail(submission)
        deliver_due()
        assert len(mail.outbox) == n_sent + 1

    def test_an_account_without_an_address_gets_none(self, submission: Submission) -> None:
        User.objects.filter(pk=submission.owner_id).update(email="")
        submission_accept(submission)
        assert told() == []

    def test_nothing_is_sent_to_an_address_that_is_gone(self, submission: Submission) -> None:
        submission_accept(submission)
        User.objects.filter(pk=submission.owner_id).update(email="")
        assert deliver_due().failed == 0
        assert mail.outbox == []
        assert Delivery.objects.get().last_error == "The account has no address that mail may go to."

    def test_a_name_cannot_add_a_header(self, submission: Submission) -> None:
        submission.name = "tides\r\nBcc: eve@example.org"
        submission.save(update_fields=["name"])
        submission_accept(submission)
        assert deliver_due().sent == 1
        assert mail.outbox[0].message()["Bcc"] is None

    def test_every_event_of_an_entry_has_a_text_of_its_own(self) -> None:
        from django.template.loader import render_to_string

        about = {"submission": {"name": "tides"}, "benchmark": {"name": "Faces"}, "payload": {}}
        subjects = {
            render_to_string("notifications/subject.txt", about | {"event": event}).strip() for event in OWN
        }
        assert len(subjects) == len(OWN)
        assert not any(subject.startswith("Tidemark:") for subject in subjects)


def test_steps_of_a_first_contact_leave_the_run_alone(submission: Submission) -> None:
    run = RunFactory(submission=submission, state=RunState.SUCCEEDED)
    unit = UnitFactory(benchmark=submission.benchmark)
    step = StepFactory(run=run, phase=Phase.PREDICT, unit=unit, state=StepState.RUNNING)
    runs.step_fail(step, ParticipantError("container_exit"))
    assert Step.objects.get(pk=step.pk).state == StepState.FAILED
    assert told() == [("submission.first_contact", "ada")]
