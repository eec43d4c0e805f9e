from __future__ import annotations

from statistics import fmean
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.models import PeriodScore, UnitScore
from leaderboard.selectors.detectors import Detector, Scores, detector
from leaderboard.selectors.estimates import auroc
from protocols import continual
from tests.leaderboard.factories import SubmissionFactory, UserFactory
from tests.leaderboard.world import N_WINDOWS, World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


@pytest.fixture
def report(world: World) -> Detector:
    found = detector(world.succeeded[0].pk, VISITOR)
    assert found is not None
    return found


def test_the_matrix_has_a_row_a_window_and_a_column_a_generator(report: Detector) -> None:
    generators = report.timeline.generators
    assert (len(report.matrix), len(report.matrix[0])) == (N_WINDOWS, len(generators)) == (4, 17)
    score = UnitScore.objects.get(run=report.entry.run_id, window=2, unit=generators[5].unit_id)
    assert report.matrix[2][5] == auroc(score)


def test_periods_are_undefined_only_where_nothing_comes_next(report: Detector) -> None:
    score = PeriodScore.objects.get(run=report.entry.run_id, window=1, period="past")
    shown = report.periods[1].past
    assert (shown.auroc, shown.tnr, shown.recall) == (auroc(score), score.tnr, score.recall)
    # The open window is the last checkpoint's next one.
    assert report.periods[3].next.auroc.value is not None


def test_before_and_after_a_generator_is_seen(report: Detector) -> None:
    rows = {row.generator.slug: row for row in report.generators}
    columns = {g.slug: j for j, g in enumerate(report.timeline.generators)}
    assert rows["nearest-2"].before == Scores()
    assert rows["nearest-2"].after.auroc == report.matrix[0][columns["nearest-2"]]
    assert rows["lanczos-3"].before.auroc == report.matrix[1][columns["lanczos-3"]]
    assert rows["lanczos-3"].after.auroc == report.matrix[2][columns["lanczos-3"]]
    assert rows["lanczos-3"].last.auroc == report.matrix[3][columns["lanczos-3"]]
    assert rows["flow-2"].before.auroc == report.matrix[3][columns["flow-2"]]
    assert rows["flow-2"].after == Scores()


def test_transfer_is_that_of_the_windows_mean_scores(report: Detector) -> None:
    R = [[fmean(cell.value for cell in row[4 * j : 4 * j + 4]) for j in range(4)] for row in report.matrix]
    assert report.transfer.forgetting == pytest.approx(continual.forgetting(R))
    assert report.transfer.backward == pytest.approx(continual.backward_transfer(R))
    assert report.transfer.forward == pytest.approx(continual.forward_transfer(R))


def test_transfer_of_an_unfinished_run_is_undefined(world: World) -> None:
    report = detector(world.running.pk, VISITOR)
    assert (report.transfer.forgetting, report.transfer.backward) == (None, None)
    assert report.matrix[3][0].value is None


def test_cost_is_that_of_containers_and_of_the_rest_apart(report: Detector) -> None:
    first = report.costs[0]
    assert (first.phase, first.window, first.container_s) == ("train", 0, 412.0)
    assert first.total_s == pytest.approx(412.0 + 2.1 + 0.3 + 0.4)
    assert report.cost_s == sum(cost.container_s for cost in report.costs)


def test_a_detector_that_may_not_be_seen_is_not_found(world: World) -> None:
    assert detector(uuid4(), VISITOR) is None
    assert detector(world.private.pk, VISITOR) is None
    assert detector(world.private.pk, UserFactory()) is None
    assert detector(world.private.pk, world.submitter).entry.rank is None
    assert detector(world.rejected.pk, world.maintainer) is None


def test_an_accepted_detector_without_a_run_has_an_empty_report(world: World) -> None:
    waiting = SubmissionFactory(benchmark=world.benchmark)
    assert detector(waiting.pk, VISITOR).matrix == ()
    elsewhere = SubmissionFactory()
    assert detector(elsewhere.pk, VISITOR).timeline is None


def test_queries_are_constant(world: World, django_assert_num_queries) -> None:
    with django_assert_num_queries(14):
        detector(world.succeeded[0].pk, VISITOR)
