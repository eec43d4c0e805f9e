"""The life of an entry: uploading, being tried, trying again, taking back, deleting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from leaderboard.models import Checkpoint, DeletedEntry, Event, Run, Step, Submission, Trial, Upload
from leaderboard.selectors.quotas import quotas
from leaderboard.services import leases, runs
from leaderboard.services.submissions import (
    TrialPhase,
    submission_attach,
    submission_cancel,
    submission_delete,
    submission_retry,
    submission_withdraw,
    trial_record,
    upload_finished,
)
from leaderboard.services.sweep import sweep
from leaderboard.store import store
from protocols.contract import Phase
from protocols.errors import ParticipantError, PlatformError, RequestError
from protocols.states import RunState, StepState, SubmissionState
from tests.leaderboard.factories import (
    CheckpointFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
    UploadFactory,
)

pytestmark = pytest.mark.django_db


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(RequestError) as raised:
        call(*args, **kwargs)
    return raised.value.code


def draft(**fields: Any) -> tuple[Submission, Upload]:
    """A draft, and an upload of its owner of which seven bytes have arrived."""
    submission = SubmissionFactory(draft=True)
    return submission, UploadFactory(owner=submission.owner, **fields)


def test_an_upload_that_is_still_coming_is_attached_and_checked_when_it_is_whole() -> None:
    submission, upload = draft(length=9)
    submission_attach(submission, upload, actor=submission.owner)
    assert (submission.state, submission.sealed_at) == (SubmissionState.UPLOADING, None)
    upload_finished(upload)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.UPLOADING
    upload.path.write_bytes(b"archive!!")
    upload_finished(upload)
    upload_finished(upload)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.CHECKING
    assert submission.sealed_at is not None
    assert [event.new for event in submission.events.all()] == ["uploading", "checking"]


def test_an_upload_from_elsewhere_counts_against_the_team_that_enters_it() -> None:
    submission, _ = draft()
    upload = UploadFactory()
    submission.team.max_stored_bytes = 6
    submission.team.save()
    assert code(submission_attach, submission, upload, actor=submission.owner) == "quota_bytes"
    submission.team.max_stored_bytes = 14
    submission.team.save()
    submission_attach(submission, upload, actor=submission.owner)
    upload.refresh_from_db()
    assert upload.team == submission.team


def test_the_sweeper_checks_what_was_finished_while_nobody_looked() -> None:
    submission, upload = draft(length=9)
    submission_attach(submission, upload, actor=submission.owner)
    upload.path.write_bytes(b"archive!!")
    sweep()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.CHECKING


def test_a_trial_keeps_what_the_last_attempt_showed() -> None:
    submission = SubmissionFactory(state=SubmissionState.TRIAL)
    trial_record(submission, [TrialPhase("train", 1.0, "old"), TrialPhase("predict", 1.0, "old")])
    error = ParticipantError("container_exit", "It ended with exit code 3.")
    trial_record(submission, [TrialPhase("train", 2.5, "a\0b", 1 << 20, error)])
    trial = Trial.objects.get(submission=submission)
    assert (trial.seconds, trial.log, trial.error_code) == (2.5, "a�b", "container_exit")


def failed_run(error: PlatformError | ParticipantError) -> Run:
    """A run of three trainings: the first succeeded, the second failed, the third never began."""
    run = RunFactory(state=RunState.RUNNING)
    done = StepFactory(run=run, window=0, state=StepState.SUCCEEDED, state_hash="a" * 64)
    step = StepFactory(run=run, window=1, state=StepState.READY, ready_at=done.ready_at)
    StepFactory(run=run, window=2, state=StepState.WAITING, key="")
    claimed = leases.claim_step("w")
    assert claimed == step
    claimed.attempts = 3
    runs.step_fail(claimed, error)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    return run


def test_a_run_that_failed_by_our_fault_goes_on_where_it_stopped() -> None:
    run = failed_run(PlatformError("attempts_exhausted", "Three times."))
    submission_retry(run.submission, actor="ada")
    run.refresh_from_db()
    assert (run.state, run.error_code, run.finished_at) == (RunState.QUEUED, "", None)
    steps = list(run.steps.all())
    assert [step.state for step in steps] == [StepState.SUCCEEDED, StepState.READY, StepState.WAITING]
    assert [step.attempts for step in steps] == [0, 0, 0]
    assert (steps[1].error_code, steps[1].started_at, steps[1].finished_at) == ("", None, None)
    claimed = leases.claim_step("w")
    assert claimed == steps[1]
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_a_run_that_failed_by_the_detectors_fault_is_not_tried_again() -> None:
    run = failed_run(ParticipantError("container_exit", "3"))
    assert code(submission_retry, run.submission, actor="ada") == "retry_impossible"
    run.refresh_from_db()
    assert run.state == RunState.FAILED


@pytest.mark.parametrize(
    ("archive", "state"), [("", SubmissionState.CHECKING), ("a" * 64, SubmissionState.TRIAL)]
)
def test_a_check_or_a_trial_that_failed_by_our_fault_begins_again(
    archive: str, state: SubmissionState
) -> None:
    submission = SubmissionFactory(
        state=SubmissionState.REJECTED,
        error_code="attempts_exhausted",
        attempts=3,
        archive=archive,
        upload=UploadFactory(),
    )
    submission_retry(submission, actor="ada")
    submission.refresh_from_db()
    assert (submission.state, submission.attempts, submission.error_code) == (state, 0, "")
    claim = leases.claim_check(Submission, "w") if state == "checking" else leases.claim_trial("w")
    assert claim == submission


def test_what_was_turned_down_or_whose_bytes_are_gone_does_not_begin_again() -> None:
    bad = SubmissionFactory(state=SubmissionState.REJECTED, error_code="archive_labels")
    gone = SubmissionFactory(state=SubmissionState.REJECTED, error_code="attempts_exhausted", archive="")
    assert code(submission_retry, bad, actor="ada") == "retry_impossible"
    assert code(submission_retry, gone, actor="ada") == "retry_impossible"


def test_a_withdrawn_entry_stops_and_meets_no_newcomer() -> None:
    run = RunFactory(state=RunState.RUNNING)
    waiting = StepFactory(run=run, window=0)
    over = RunFactory(submission=run.submission, edition=run.edition, seed=1, state=RunState.SUCCEEDED)
    met = StepFactory(run=over, phase=Phase.PREDICT, unit=UnitFactory(benchmark=run.edition.benchmark))
    submission_withdraw(run.submission, actor="ada", reason="A bug in its training.")
    for step in (waiting, met):
        step.refresh_from_db()
        assert step.state == StepState.CANCELLED
    run.refresh_from_db()
    over.refresh_from_db()
    assert (run.state, over.state) == (RunState.CANCELLED, RunState.SUCCEEDED)
    assert Event.objects.get(submission=run.submission).reason == "A bug in its training."
    assert code(submission_withdraw, run.submission, actor="ada") == "illegal_transition"


def test_deleting_what_was_never_accepted_leaves_nothing() -> None:
    submission, upload = draft()
    submission_attach(submission, upload, actor=submission.owner)
    assert code(submission_delete, submission, actor="ada") == "illegal_transition"
    submission_cancel(submission, actor="ada")
    assert submission_delete(submission, actor="ada") is True
    assert not Submission.objects.exists()
    assert not Upload.objects.exists()
    assert not upload.path.exists()


@pytest.mark.parametrize(("fault", "used"), [("archive_labels", 1), ("attempts_exhausted", 0)])
def test_deleting_gives_no_place_of_the_day_back(fault: str, used: int) -> None:
    submission = SubmissionFactory(state=SubmissionState.REJECTED, error_code=fault)
    team = submission.team
    submission_delete(submission, actor="ada")
    assert quotas(team).submissions_a_day.used == used
    DeletedEntry.objects.update(sealed_at=timezone.now() - timedelta(days=2))
    sweep()
    assert not DeletedEntry.objects.exists()


def test_deleting_an_accepted_entry_keeps_its_runs_and_frees_its_bytes() -> None:
    run = RunFactory(state=RunState.SUCCEEDED)
    step = StepFactory(run=run, state=StepState.SUCCEEDED, log_tail="loss 0.1")
    submission = run.submission
    trial_record(submission, [TrialPhase("train", 1.0, "all of it")])
    Submission.objects.filter(pk=submission.pk).update(description="How it works.")
    assert submission_delete(submission, actor="ada") is False
    submission.refresh_from_db()
    step.refresh_from_db()
    assert submission.state == SubmissionState.WITHDRAWN
    assert (submission.archive, submission.description, step.log_tail) == ("", "", "")
    assert not Trial.objects.exists()
    assert Run.objects.filter(pk=run.pk).exists()
    assert Step.objects.filter(pk=step.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_an_archive_goes_with_the_last_entry_that_has_it() -> None:
    key = store().put_bytes(b"an image archive")
    first, second = (
        SubmissionFactory(archive=key, state=SubmissionState.REJECTED, accepted_at=None) for _ in "ab"
    )
    submission_delete(first, actor="ada")
    assert store().path(key).exists()
    submission_delete(second, actor="ada")
    assert not store().path(key).exists()


@pytest.mark.django_db(transaction=True)
def test_checkpoints_go_with_an_entry_unless_another_has_the_same_state() -> None:
    def state(content: bytes) -> str:
        return store().put_json([{"path": "w", "sha256": store().put_bytes(content), "executable": False}])

    own, shared = state(b"own weights"), state(b"weights of both")
    run, other = (RunFactory(state=RunState.SUCCEEDED) for _ in "ab")
    for window, state_hash in enumerate((own, shared)):
        StepFactory(run=run, window=window, state=StepState.SUCCEEDED, state_hash=state_hash)
        CheckpointFactory(state_hash=state_hash)
    StepFactory(run=other, window=0, state=StepState.SUCCEEDED, state_hash=shared)
    submission_delete(run.submission, actor="ada")
    assert not store().path(own).exists()
    assert store().read_json(shared)
    assert list(Checkpoint.objects.values_list("state_hash", flat=True)) == [shared]


def test_what_is_under_way_is_not_deleted() -> None:
    run = RunFactory(state=RunState.RUNNING)
    assert code(submission_delete, run.submission, actor="ada") == "illegal_transition"
    assert Submission.objects.get(pk=run.submission_id).archive
