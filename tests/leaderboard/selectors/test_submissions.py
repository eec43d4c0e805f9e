from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.models import Step
from leaderboard.selectors.submissions import submission_report, submissions_of
from tests.leaderboard.factories import SubmissionFactory, UserFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


def test_a_stranger_sees_steps_and_neither_events_nor_log(world: World) -> None:
    report = submission_report(world.failed.pk, VISITOR)
    assert [step.state for step in report.runs[0].steps] == ["succeeded", "succeeded", "failed", "cancelled"]
    assert (report.events, report.log, report.is_trusted, report.can_cancel) == ((), None, False, False)


@pytest.mark.parametrize("who", ["submitter", "maintainer"])
def test_the_owner_and_maintainers_see_the_log_of_the_step_that_failed(world: World, who: str) -> None:
    report = submission_report(world.failed.pk, getattr(world, who))
    assert report.log.text.endswith("Killed\n")
    assert (report.log.step.phase, report.log.step.window) == ("train", 1)
    assert [event.new for event in report.events][:2] == ["checking", "accepted"]
    assert report.events[-1].step.state == "failed"


def test_a_log_can_be_asked_for_by_step_but_only_of_training(world: World) -> None:
    steps = {(s.phase, s.window): s for s in Step.objects.filter(run__submission=world.running)}
    Step.objects.filter(run__submission=world.running).update(log_tail="pixels of evaluation images")
    train, predict = steps["train", 0], steps["predict", 0]
    assert submission_report(world.running.pk, world.submitter, log_step=train.pk).log.step == train
    assert submission_report(world.running.pk, world.submitter, log_step=predict.pk).log is None
    foreign = Step.objects.filter(run__submission=world.failed, phase="train").first()
    assert submission_report(world.running.pk, world.submitter, log_step=foreign.pk).log is None


def test_progress_and_what_is_final(world: World) -> None:
    running = submission_report(world.running.pk, world.submitter)
    assert running.runs[0].progress == pytest.approx(4.42 / 8)
    assert (running.is_final, running.can_cancel) == (False, True)
    failed = submission_report(world.failed.pk, world.submitter)
    assert (failed.is_final, failed.can_cancel) == (True, False)
    draft = SubmissionFactory(draft=True, owner=world.submitter)
    assert submission_report(draft.pk, world.submitter).is_final is False
    assert submission_report(world.rejected.pk, world.submitter).is_final is True


def test_what_may_not_be_seen_is_not_found(world: World) -> None:
    assert submission_report(world.private.pk, VISITOR) is None
    assert submission_report(world.rejected.pk, UserFactory()) is None
    assert submission_report(world.rejected.pk, world.maintainer) is not None


def test_a_list_holds_only_the_users_own_with_their_newest_run(world: World) -> None:
    rows = {row.submission.name: row for row in submissions_of(world.submitter)}
    assert set(rows) == {
        "npr",
        "patchcraft-192",
        "ensemble-of-everything",
        "unpublished-idea",
        "wrong-labels",
    }
    assert rows["npr"].run.seed == 1
    assert rows["wrong-labels"].run is None
    assert (rows["patchcraft-192"].steps.n_done, rows["patchcraft-192"].steps.n_steps) == (4, 8)


def test_queries_are_constant(world: World, django_assert_num_queries) -> None:
    assert world.submitter.roles, "which an account looks up once"
    with django_assert_num_queries(4):
        submission_report(world.succeeded[0].pk, VISITOR)
    with django_assert_num_queries(7):
        submission_report(world.failed.pk, world.submitter)
    with django_assert_num_queries(3):
        submissions_of(world.submitter)
