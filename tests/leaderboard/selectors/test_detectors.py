from __future__ import annotations

from statistics import fmean
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.models import PeriodScore, RunScore, Step, UnitScore
from leaderboard.pages.detectors import METRICS
from leaderboard.selectors.detectors import Asked, Detector, Scores, detector
from leaderboard.selectors.estimates import auroc
from leaderboard.selectors.snapshots import shown_board
from leaderboard.services.boards import boards_refresh
from protocols import continual
from protocols.periods import Period
from tests.leaderboard.factories import (
    EditionFactory,
    RunFactory,
    RunScoreFactory,
    SubmissionFactory,
    UserFactory,
)
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


@pytest.mark.parametrize("n_more", [0, 8])
def test_queries_are_constant(world: World, n_more: int, django_assert_num_queries) -> None:
    for i in range(n_more):
        other = SubmissionFactory(benchmark=world.benchmark, name=f"more-{i}")
        run = RunFactory(submission=other, edition=world.edition, state="succeeded")
        RunScoreFactory(run=run, value=0.6 + i / 1000)
    boards_refresh(every=True)
    detector(world.succeeded[0].pk, VISITOR)
    with django_assert_num_queries(27):
        detector(world.succeeded[0].pk, VISITOR)


def test_every_metric_is_that_of_its_row(report: Detector) -> None:
    for window in (0, 2):
        for period in Period.NEXT, Period.PAST, Period.WHOLE:
            row = PeriodScore.objects.get(run=report.run.run_id, window=window, period=period)
            shown = report.periods[window].of(period)
            for name in METRICS:
                assert getattr(shown, name) == getattr(row, name)
    # The threshold of past windows is the best one for the past of the same checkpoint.
    assert report.periods[1].next.past_threshold == report.periods[1].past.best_threshold is not None
    assert report.periods[1].past.past_threshold is None


class TestSeeds:
    def test_each_seed_has_its_run_and_the_lowest_is_shown(self, world: World, report: Detector) -> None:
        assert [run.seed for run in report.runs] == [0, 1]
        assert report.run == report.runs[0]
        for run in report.runs:
            score = RunScore.objects.get(run=run.run_id, period="next")
            assert (run.next.estimate.value, run.next.estimate.low) == (score.value, score.low)
            assert run.next.generators.low == score.generators_low is not None
            assert run.means[Period.NEXT] == score.means
        assert report.entry.next.estimate.value == fmean(r.next.estimate.value for r in report.runs)

    def test_the_details_are_those_of_the_seed_that_is_asked_for(self, world: World) -> None:
        pk = world.succeeded[0].pk
        first, second = detector(pk, VISITOR), detector(pk, VISITOR, Asked(seed=1))
        assert second.run.seed == 1
        score = UnitScore.objects.get(
            run=second.run.run_id, window=2, unit=second.timeline.generators[5].unit_id
        )
        assert second.matrix[2][5] == auroc(score) != first.matrix[2][5]
        assert second.curves.roc != first.curves.roc
        assert second.entry == first.entry
        assert detector(pk, VISITOR, Asked(seed=7)).run == first.run

    def test_a_run_under_way_shows_what_there_is(self, world: World) -> None:
        report = detector(world.running.pk, VISITOR)
        assert report.entry is None
        assert (report.run.state, report.run.is_scored) == ("running", False)
        assert report.matrix[1][0].value is not None
        assert report.curves.window == 1


class TestLineage:
    def test_it_names_all_that_the_numbers_come_from(self, world: World, report: Detector) -> None:
        made = report.lineage
        assert made.protocol_version == world.benchmark.protocol_version
        assert [(ran.number, ran.manifest_hash) for ran in made.editions] == [
            (world.edition.number, world.edition.manifest_hash)
        ]
        assert [run.seed for run in made.editions[0].runs] == [0, 1]
        windows = world.edition.windows.all()
        assert [(w.window, w.manifest) for w in made.windows] == [(w.index, w.manifest) for w in windows]
        steps = {(s.window, s.phase): s for s in Step.objects.filter(run=report.run.run_id)}
        for cost in report.costs:
            assert cost.key == steps[cost.window, cost.phase].key

    def test_what_was_reused_is_told(self, world: World) -> None:
        step = Step.objects.filter(run__submission=world.succeeded[1], window=1, phase="predict").get()
        Step.objects.filter(pk=step.pk).update(reused=True, state_hash="ab" * 32)
        (cost,) = [cost for cost in detector(world.succeeded[1].pk, VISITOR).costs if cost.reused]
        assert (cost.window, cost.state_hash) == (1, "ab" * 32)

    def test_editions_before_are_listed(self, world: World) -> None:
        earlier = EditionFactory(benchmark=world.benchmark, number=0)
        RunFactory(submission=world.succeeded[1], edition=earlier, seed=0, state="succeeded")
        report = detector(world.succeeded[1].pk, VISITOR)
        assert [ran.number for ran in report.lineage.editions] == [0, 1]
        assert [run.seed for run in report.runs] == [0]


class TestThen:
    def test_an_earlier_board_tells_how_it_stood(self, world: World) -> None:
        pk = world.succeeded[2].pk
        before = shown_board(world.benchmark)
        now = detector(pk, VISITOR).entry
        RunScore.objects.filter(run=now.run_id, period="next").update(value=0.99, low=0.98, high=0.995)
        boards_refresh(every=True)
        report = detector(pk, VISITOR, Asked(asof=before.citation))
        assert report.entry.next.estimate.value == 0.99
        assert report.then.entry == now
        assert (report.then.shown.citation, report.then.n_ranked) == (before.citation, 3)

    def test_what_was_not_on_it_yet(self, world: World) -> None:
        before = shown_board(world.benchmark).citation
        new = SubmissionFactory(benchmark=world.benchmark)
        RunScoreFactory(run=RunFactory(submission=new, edition=world.edition, state="succeeded"))
        boards_refresh(every=True)
        assert detector(new.pk, VISITOR, Asked(asof=before)).then.entry is None
        assert detector(new.pk, VISITOR, Asked(asof="f" * 16)) is None

    @pytest.mark.parametrize(
        ("query", "asked"),
        [
            ({}, Asked()),
            ({"seed": "3", "window": "0", "period": "past"}, Asked(3, 0, Period.PAST)),
            (
                {"seed": "-1", "window": "x", "period": "before", "asof": " edition-2 "},
                Asked(asof="edition-2"),
            ),
            ({"seed": "٣", "window": "9" * 30}, Asked()),
        ],
    )
    def test_what_can_not_be_meant_is_not_asked(self, query: dict[str, str], asked: Asked) -> None:
        assert Asked.of(query) == asked
