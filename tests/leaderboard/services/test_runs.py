"""Plans: which steps become ready when, with which keys, and how runs end."""

from __future__ import annotations

import pytest
from django.db import transaction

from leaderboard.models import Run, Step
from leaderboard.services import leases, runs
from protocols.contract import Phase
from protocols.errors import ParticipantError
from protocols.plan import EMPTY_STATE
from protocols.states import RunState, StepState
from tests.leaderboard.factories import EditionFactory, SubmissionFactory, digest

pytestmark = pytest.mark.django_db


def new_run(phases: list[str], n_windows: int = 3) -> Run:
    submission = SubmissionFactory(phases=phases)
    edition = EditionFactory(benchmark=submission.benchmark, windows=n_windows)
    return runs.run_create(submission, edition, seed=submission.seed)


def ready(run: Run) -> list[tuple[str, int]]:
    return sorted(run.steps.filter(state=StepState.READY).values_list("phase", "window"))


def finish(run: Run, phase: str, window: int, state_hash: str = "") -> None:
    """Claim steps until the wanted one is in hand, and end it well."""
    step = run.steps.get(phase=phase, window=window)
    Step.objects.filter(pk=step.pk).update(ready_at="2000-01-01T00:00Z")
    claimed = leases.claim_step("w")
    assert claimed == step
    with transaction.atomic():
        leases.fence(claimed)
        runs.step_succeed(claimed, **({"state_hash": state_hash} if state_hash else {}))


def test_training_opens_the_prediction_of_its_window_and_the_next_training() -> None:
    run = new_run(["train", "predict"])
    assert run.steps.count() == 6
    assert ready(run) == [("train", 0)]
    finish(run, "train", 0, digest("s0"))
    assert ready(run) == [("predict", 0), ("train", 1)]
    finish(run, "train", 1, digest("s1"))
    assert ready(run) == [("predict", 0), ("predict", 1), ("train", 2)]


def test_a_run_succeeds_with_its_last_step() -> None:
    run = new_run(["train", "predict"], 1)
    finish(run, "train", 0, digest("s0"))
    finish(run, "predict", 0)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert run.finished_at is not None


def test_a_detector_without_training_is_ready_at_every_window_with_one_key() -> None:
    run = new_run(["predict"])
    assert ready(run) == [("predict", 0), ("predict", 1), ("predict", 2)]
    assert run.steps.values("key").distinct().count() == 1
    assert set(run.steps.values_list("state_hash", flat=True)) == {EMPTY_STATE}


def test_an_unchanged_state_has_an_unchanged_prediction_key() -> None:
    run = new_run(["train", "predict"])
    finish(run, "train", 0, digest("same"))
    finish(run, "train", 1, digest("same"))
    finish(run, "train", 2, digest("other"))
    keys = [run.steps.get(phase=Phase.PREDICT, window=k).key for k in range(3)]
    assert keys[0] == keys[1] != keys[2]
    assert run.steps.filter(phase=Phase.TRAIN).values("key").distinct().count() == 3


@pytest.mark.parametrize("what", ["image_id", "seed", "manifest"])
def test_a_key_depends_on_what_the_result_depends_on(what: str) -> None:
    first = new_run(["train", "predict"])
    second = new_run(["train", "predict"])
    submission, edition = first.submission, first.edition
    other = second.submission
    other.image_id = submission.image_id if what != "image_id" else other.image_id
    other.save()
    for index in range(3):
        if what != "manifest":
            manifest = edition.windows.get(index=index).manifest
            second.edition.windows.filter(index=index).update(manifest=manifest)
    second.seed = first.seed + (what == "seed")
    second.steps.update(state=StepState.WAITING)
    second.save()
    runs.advance(second)
    assert first.steps.get(phase="train", window=0).key != second.steps.get(phase="train", window=0).key


def test_equal_inputs_have_equal_keys_across_submissions() -> None:
    first = new_run(["train", "predict"])
    twin = SubmissionFactory(benchmark=first.submission.benchmark, image_id=first.submission.image_id)
    second = runs.run_create(twin, first.edition, seed=first.seed)
    assert first.steps.get(phase="train", window=0).key == second.steps.get(phase="train", window=0).key


def test_planning_twice_plans_once() -> None:
    run = new_run(["train", "predict"])
    assert runs.run_create(run.submission, run.edition, seed=run.seed) == run
    assert run.steps.count() == 6


def test_a_participants_fault_fails_the_run_and_lets_running_steps_finish() -> None:
    run = new_run(["train", "predict"])
    finish(run, "train", 0, digest("s0"))
    first, second = leases.claim_step("a"), leases.claim_step("b")
    assert first is not None
    assert second is not None
    failing, going = sorted((first, second), key=lambda step: step.phase, reverse=True)
    with transaction.atomic():
        leases.fence(failing)
        runs.step_fail(failing, ParticipantError("container_oom"))
    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.FAILED, "container_oom")
    assert "train at window 1" in run.error_detail
    with transaction.atomic():
        leases.fence(going)
        runs.step_succeed(going)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert set(run.steps.values_list("state", flat=True)) == {"succeeded", "failed", "cancelled"}


def test_cancelling_ends_what_waits_at_once_and_the_run_with_its_last_step() -> None:
    run = new_run(["train", "predict"])
    step = leases.claim_step("w")
    assert step is not None
    runs.run_cancel(run, actor="owner")
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    assert set(run.steps.exclude(pk=step.pk).values_list("state", flat=True)) == {"cancelled"}
    with transaction.atomic():
        leases.fence(step)
        runs.step_cancel(step)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
