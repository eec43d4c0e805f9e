"""An entry's life over REST: what it waits for, its trial, trying again, taking back."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.utils import timezone

from leaderboard.models import Membership, Role, Run, Submission
from leaderboard.services.submissions import TrialPhase, submission_attach, trial_record
from leaderboard.services.teams import personal_team
from leaderboard.services.workers import worker_seen
from protocols.states import RunState, StepState, SubmissionState
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import (
    BenchmarkFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UploadFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def test_an_entry_says_how_far_its_upload_is_and_what_it_waits_for(client_of: ClientOf) -> None:
    submission = SubmissionFactory(draft=True)
    upload = UploadFactory(owner=submission.owner, length=9)
    submission_attach(submission, upload, actor=submission.owner)
    answer = client_of(submission.owner).get(f"/api/v1/submissions/{submission.pk}/").json()
    assert (answer["state"], answer["uploaded_bytes"], answer["upload_bytes"]) == ("uploading", 7, 9)
    assert answer["waits_for"] == "the rest of its image archive"


def test_steps_say_their_place_and_the_wait_that_is_to_be_expected(client_of: ClientOf) -> None:
    worker_seen("w", started_at=timezone.now())
    run = RunFactory(state=RunState.QUEUED)
    StepFactory(run=run, window=0)
    StepFactory(run=run, window=1, state=StepState.WAITING)
    first, second = client_of(None).get(f"/api/v1/runs/{run.pk}/").json()["steps"]
    assert (first["waits_for"], first["queue_position"]) == ("its turn: it is the next", 1)
    assert first["expected_wait_s"] == 0.0
    assert (second["waits_for"], second["queue_position"]) == ("training on window 0", None)


def test_the_cost_so_far_is_the_sum_of_its_containers(client_of: ClientOf) -> None:
    run = RunFactory()
    for window in range(2):
        StepFactory(run=run, window=window, state=StepState.SUCCEEDED, timings={"container": 2.5})
    answer = client_of(None).get(f"/api/v1/submissions/{run.submission_id}/").json()
    assert answer["cost_s"] == 5.0


def test_the_trial_is_read_by_the_team_alone(client_of: ClientOf) -> None:
    submission = SubmissionFactory()
    trial_record(submission, [TrialPhase("train", 2.0, "epoch 1"), TrialPhase("predict", 1.0, "done")])
    address = f"/api/v1/submissions/{submission.pk}/trial/"
    rows = client_of(submission.owner).get(address).json()
    assert [(row["phase"], row["log"], row["error"]) for row in rows] == [
        ("train", "epoch 1", None),
        ("predict", "done", None),
    ]
    assert client_of(UserFactory()).get(address).status_code == 403


def test_an_entry_of_a_team_is_everybodys_in_it_and_a_strangers_team_is_refused(client_of: ClientOf) -> None:
    author, colleague = UserFactory(), UserFactory()
    team = personal_team(UserFactory(username="lab"))
    Membership.objects.create(team=team, user=author, role=Role.MEMBER)
    Membership.objects.create(team=team, user=colleague, role=Role.MEMBER)
    body = {"benchmark": BenchmarkFactory().slug, "name": "ours", "team": "lab"}
    made = client_of(author).post("/api/v1/submissions/", body)
    assert (made.status_code, made.json()["team"], made.json()["owner"]) == (201, "lab", author.username)
    address = f"/api/v1/submissions/{made.json()['id']}/"
    assert client_of(colleague).get(address).status_code == 200
    # A member who did not enter it can stop it and can't take it back.
    assert client_of(colleague).post(f"{address}withdraw/").status_code == 403
    assert client_of(colleague).post(f"{address}cancel/").status_code == 200
    refused = client_of(UserFactory()).post("/api/v1/submissions/", body)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["attr"] == "team"


def test_a_failed_run_is_tried_again_only_after_our_fault(client_of: ClientOf) -> None:
    ours = RunFactory(state=RunState.FAILED, error_code="attempts_exhausted")
    theirs = RunFactory(state=RunState.FAILED, error_code="container_exit")
    for run, status in ((ours, 200), (theirs, 409)):
        client = client_of(run.submission.owner)
        assert client.post(f"/api/v1/submissions/{run.submission_id}/retry/").status_code == status
    assert Run.objects.get(pk=ours.pk).state == RunState.QUEUED


def test_an_entry_is_run_with_another_seed_once(client_of: ClientOf) -> None:
    first = RunFactory(state=RunState.SUCCEEDED)
    client = client_of(first.submission.owner)
    address = f"/api/v1/submissions/{first.submission_id}/runs/"
    answers = [client.post(address, {"seed": 3}, HTTP_IDEMPOTENCY_KEY="again") for _ in range(2)]
    made = answers[0].json()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1]["Idempotency-Replayed"] == "true"
    assert answers[1].json() == made
    assert Run.objects.filter(submission=first.submission).count() == 2
    assert (made["seed"], made["state"], made["edition"]) == (3, "queued", first.edition.number)
    assert [step["state"] for step in made["steps"]][:2] == ["ready", "waiting"]
    assert answers[0]["Location"] == f"/api/v1/runs/{made['id']}/"
    assert client.get(answers[0]["Location"]).json() == made
    refused = client.post(address, {"seed": 3})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "conflict")
    for body in ({}, {"seed": -1}, {"seed": 2**31}, {"seed": 1.5}, {"seed": 4, "edition": 1}):
        assert client.post(address, body).status_code == 400, body


@pytest.mark.parametrize(
    ("setting", "value", "status", "code"),
    [("MAX_SEEDS", 1, 409, "seed_limit"), ("QUOTA_ACTIVE_RUNS", 0, 429, "quota_runs")],
)
def test_a_seed_for_which_there_is_no_room_is_refused(
    client_of: ClientOf, settings: LazySettings, setting: str, value: int, status: int, code: str
) -> None:
    first = RunFactory(state=RunState.SUCCEEDED)
    setattr(settings, setting, value)
    answer = client_of(first.submission.owner).post(
        f"/api/v1/submissions/{first.submission_id}/runs/", {"seed": 1}
    )
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


def test_nobody_runs_a_null_row(client_of: ClientOf) -> None:
    run = RunFactory(submission__null_row="constant", state=RunState.SUCCEEDED)
    address = f"/api/v1/submissions/{run.submission_id}/runs/"
    for user in (run.submission.owner, UserFactory(maintainer=True)):
        assert client_of(user).post(address, {"seed": 1}).status_code == 403


def test_deleting_answers_204_and_keeps_what_was_published(client_of: ClientOf) -> None:
    run = RunFactory(state=RunState.SUCCEEDED)
    client = client_of(run.submission.owner)
    assert client.delete(f"/api/v1/submissions/{run.submission_id}/").status_code == 204
    answer = client.get(f"/api/v1/submissions/{run.submission_id}/").json()
    assert (answer["state"], answer["archive"], len(answer["runs"])) == ("withdrawn", "", 1)
    draft = SubmissionFactory(draft=True, owner=run.submission.owner)
    assert client.delete(f"/api/v1/submissions/{draft.pk}/").status_code == 204
    assert not Submission.objects.filter(pk=draft.pk).exists()


@pytest.mark.parametrize(("code", "left"), [("archive_labels", 0), ("attempts_exhausted", 1)])
def test_a_fault_of_ours_does_not_count_towards_the_day(client_of: ClientOf, code: str, left: int) -> None:
    author = UserFactory()
    team = personal_team(author)
    team.max_submissions_a_day = 1
    team.save()
    SubmissionFactory(owner=author, state=SubmissionState.REJECTED, accepted_at=None, error_code=code)
    draft = SubmissionFactory(owner=author, draft=True)
    upload = UploadFactory(owner=author)
    answer = client_of(author).post(f"/api/v1/submissions/{draft.pk}/upload/", {"upload": str(upload.pk)})
    assert answer.status_code == (200 if left else 429)
    if not left:
        assert answer.json()["errors"][0]["code"] == "quota_submissions"
