"""Scores from predictions: against scikit-learn, and with the windows that each period covers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from django.utils import timezone
from sklearn.metrics import average_precision_score, roc_auc_score

from leaderboard.models import Edition, Generator, PeriodScore, Run, RunInfluence, RunScore, Unit, UnitScore
from leaderboard.services.scores import OF_SCORES, rescore_next, run_score, window_score
from protocols.contract import Phase
from protocols.delong import paired_test
from protocols.influence import unpack
from protocols.metrics import FRACTIONS, evaluate
from protocols.states import StepState
from tests.leaderboard.factories import (
    BenchmarkFactory,
    EditionFactory,
    GeneratorFactory,
    PredictionFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
    WindowFactory,
)

pytestmark = pytest.mark.django_db

N_WINDOWS = 3


def an_edition(per_window: int) -> Edition:
    """Three closed windows of ``per_window`` generators, and as many generators in the open window."""
    benchmark = BenchmarkFactory(generators_per_window=per_window)
    edition = EditionFactory(benchmark=benchmark)
    for index in range(N_WINDOWS + 1):
        generators = [
            GeneratorFactory(corpus=benchmark.corpus, release_date=date(2020, 1 + index, 1 + day))
            for day in range(per_window)
        ]
        for generator in generators:
            UnitFactory(benchmark=benchmark, generator=generator, n_fakes=20, n_reals=20)
        if index < N_WINDOWS:
            WindowFactory(edition=edition, index=index, generators=generators)
    return edition


@pytest.fixture
def edition() -> Edition:
    return an_edition(per_window=1)


@pytest.fixture
def run(edition: Edition) -> Run:
    return RunFactory(submission=SubmissionFactory(benchmark=edition.benchmark), edition=edition)


def draw(edition: Edition, seed: int) -> dict[Unit, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        unit: np.concatenate([rng.uniform(0.2, 1, unit.n_fakes), rng.uniform(0, 0.8, unit.n_reals)]).round(2)
        for unit in edition.units.all()
    }


def covered(edition: Edition, first: int, last: int) -> list[Unit]:
    return list(edition.units.all())[first : last + 1]


def expected(scores: dict[Unit, np.ndarray], units: list[Unit]) -> tuple[float, float]:
    labels = np.concatenate([np.repeat([1, 0], [u.n_fakes, u.n_reals]) for u in units])
    values = np.concatenate([scores[u] for u in units])
    return roc_auc_score(labels, values), average_precision_score(labels, values)


def test_units_and_periods_equal_scikit_learn(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        scores = draw(edition, seed=k)
        window_score(edition, k, scores).save(run, "state")
        for unit in scores:
            row = UnitScore.objects.get(run=run, window=k, unit=unit)
            assert (row.roc_auc, row.average_precision) == pytest.approx(expected(scores, [unit]), abs=1e-12)
            assert row.tp + row.fn == row.tn + row.fp == 20
            # Four digits are kept, so that the low bits of scores end here.
            assert row.brier == round(np.mean((scores[unit] - np.repeat([1, 0], 20)) ** 2), 4)
            assert row.calibration_error == round(row.calibration_error, 4)
            assert row.best_balanced_accuracy >= row.balanced_accuracy
            assert None not in (row.tpr_at_fpr_1, row.equal_error_rate, row.calibration_error)
        for period, units in {
            "next": covered(edition, k + 1, k + 1),
            "past": covered(edition, 0, k),
            "whole": covered(edition, 0, k + 1),
        }.items():
            score = PeriodScore.objects.get(run=run, window=k, period=period)
            assert (score.roc_auc, score.average_precision) == pytest.approx(
                expected(scores, units), abs=1e-12
            )


def test_scoring_again_replaces(edition: Edition, run: Run) -> None:
    window_score(edition, 0, draw(edition, 0)).save(run, "state")
    window_score(edition, 0, draw(edition, 1)).save(run, "state")
    assert UnitScore.objects.filter(run=run).count() == N_WINDOWS + 1


def test_without_an_open_window_the_last_next_is_missing(edition: Edition, run: Run) -> None:
    edition.units.remove(edition.units.last())
    window_score(edition, N_WINDOWS - 1, draw(edition, 0)).save(run, "state")
    assert not PeriodScore.objects.filter(run=run, period="next").exists()


def test_an_older_generator_without_a_window_counts_in_no_period(edition: Edition, run: Run) -> None:
    generator = GeneratorFactory(corpus=edition.benchmark.corpus, release_date=date(2019, 1, 1))
    waiting = UnitFactory(benchmark=edition.benchmark, generator=generator, n_fakes=20, n_reals=20)
    scores = draw(edition, 0)
    window_score(edition, 0, scores).save(run, "state")
    inside = [unit for unit in scores if unit != waiting]
    assert UnitScore.objects.filter(run=run, unit=waiting).exists()
    whole = PeriodScore.objects.get(run=run, period="whole")
    assert whole.roc_auc == pytest.approx(expected(scores, inside[:2])[0], abs=1e-12)


def predict(run: Run, k: int, scores: dict[Unit, np.ndarray]) -> None:
    step = StepFactory(run=run, phase=Phase.PREDICT, window=k, state=StepState.SUCCEEDED)
    for unit, values in scores.items():
        PredictionFactory(state_key=step.key, unit=unit, scores=values.astype("<f8").tobytes())


def test_the_headline_averages_the_forecasts_on_closed_windows_only(edition: Edition, run: Run) -> None:
    drawn = {k: draw(edition, k) for k in range(N_WINDOWS)}
    for k, scores in drawn.items():
        predict(run, k, scores)
    run_score(run)
    headline = RunScore.objects.get(run=run, period="next")
    forecasts = [expected(drawn[k], covered(edition, k + 1, k + 1))[0] for k in range(N_WINDOWS - 1)]
    assert headline.value == pytest.approx(np.mean(forecasts), abs=1e-12)
    assert headline.n_windows == N_WINDOWS - 1
    assert 0 < headline.low < headline.value < headline.high < 1
    # The paper-compatible mean adds the last window scored on itself.
    last = expected(drawn[N_WINDOWS - 1], covered(edition, N_WINDOWS - 1, N_WINDOWS - 1))[0]
    assert headline.paper_value == pytest.approx(np.mean([*forecasts, last]), abs=1e-12)
    past = RunScore.objects.get(run=run, period="past")
    assert past.value == pytest.approx(
        np.mean([expected(drawn[k], covered(edition, 0, k))[0] for k in range(N_WINDOWS - 1)]), abs=1e-12
    )


def test_the_other_metrics_are_averaged_over_the_forecasts_too(edition: Edition, run: Run) -> None:
    drawn = {k: draw(edition, k) for k in range(N_WINDOWS)}
    for k, scores in drawn.items():
        predict(run, k, scores)
        window_score(edition, k, scores).save(run, "state")
    run_score(run)
    for period in ("next", "past", "whole"):
        means = RunScore.objects.get(run=run, period=period).means
        rows = PeriodScore.objects.filter(run=run, period=period, window__lt=N_WINDOWS - 1)
        names = {name for name in FRACTIONS if name != "roc_auc"}
        if period == "next":
            names |= {"past_balanced_accuracy", "past_tnr", "past_recall"}
        assert set(means) == names
        for name in names:
            kept = 1e-4 if name in OF_SCORES else 1e-12
            assert means[name] == pytest.approx(np.mean([getattr(row, name) for row in rows]), abs=kept)


def test_a_mean_that_misses_a_step_is_null(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        # Nothing is called fake, so there is no precision.
        predict(run, k, {unit: values / 3 for unit, values in draw(edition, k).items()})
    run_score(run)
    means = RunScore.objects.get(run=run, period="next").means
    assert (means["precision"], means["recall"]) == (None, 0)


def test_the_threshold_of_the_past_is_applied_to_the_next_window(edition: Edition, run: Run) -> None:
    scores = draw(edition, 3)
    window_score(edition, 1, scores).save(run, "state")
    rows = {row.period: row for row in PeriodScore.objects.filter(run=run)}
    assert rows["past"].past_threshold is rows["whole"].past_threshold is None
    following = rows["next"]
    assert following.past_threshold == rows["past"].best_threshold
    (unit,) = covered(edition, 2, 2)
    expected = evaluate(np.repeat([1, 0], 20), scores[unit], following.past_threshold)
    assert (following.past_balanced_accuracy, following.past_tnr, following.past_recall) == (
        expected.balanced_accuracy,
        expected.tnr,
        expected.recall,
    )


def test_generators_have_an_interval_where_every_window_has_two(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        predict(run, k, draw(edition, k))
    run_score(run)
    assert {score.generators_low for score in RunScore.objects.filter(run=run)} == {None}

    edition = an_edition(per_window=3)
    run = RunFactory(submission=SubmissionFactory(benchmark=edition.benchmark), edition=edition)
    for k in range(N_WINDOWS):
        predict(run, k, draw(edition, k))
    run_score(run)
    for score in RunScore.objects.filter(run=run):
        assert 0 < score.generators_low < score.value < score.generators_high < 1


def test_what_the_headline_owes_to_every_image_is_kept_for_paired_tests(edition: Edition, run: Run) -> None:
    other = RunFactory(submission=SubmissionFactory(benchmark=edition.benchmark), edition=edition)
    for number, each in enumerate((run, other)):
        for k in range(N_WINDOWS):
            predict(each, k, draw(edition, 10 * number + k))
        run_score(each)
    estimates = []
    for each in (run, other):
        kept, headline = each.influence, RunScore.objects.get(run=each, period="next")
        # The first window is nobody's next one, and the open one is in no average.
        assert kept.units == [unit.pk for unit in covered(edition, 1, N_WINDOWS - 1)]
        assert kept.n_pairs == 20
        estimate = unpack(headline.value, bytes(kept.values), kept.n_pairs)
        assert len(estimate.contributions) == 2 * 40
        half = np.sqrt(estimate.variance) * 1.959964 / (headline.value * (1 - headline.value))
        logit = np.log(headline.value / (1 - headline.value))
        assert headline.high == pytest.approx(1 / (1 + np.exp(-logit - half)), abs=1e-6)
        estimates.append(estimate)
    test = paired_test(*estimates)
    assert test is not None
    assert 0 < test.p_value < 1


def test_without_a_headline_nothing_is_kept(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        predict(run, k, draw(edition, k))
    run_score(run)
    assert RunInfluence.objects.filter(run=run).exists()
    # Without its only generator a window has no score, and the average none either.
    (unit,) = covered(edition, 1, 1)
    Generator.objects.filter(pk=unit.generator_id).update(withdrawn_at=timezone.now())
    run_score(run)
    assert RunScore.objects.get(run=run, period="next").value is None
    assert not RunInfluence.objects.filter(run=run).exists()


def test_computing_anew_changes_nothing(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        scores = draw(edition, k)
        predict(run, k, scores)
        window_score(edition, k, scores).save(run, "state")
    run_score(run)

    def rows() -> list[list[dict]]:
        return [
            [
                {name: value for name, value in row.items() if name != "id"}
                for row in model.objects.filter(run=run).order_by(*order).values()
            ]
            for model, order in (
                (UnitScore, ("window", "unit")),
                (PeriodScore, ("window", "period")),
                (RunScore, ("period",)),
                (RunInfluence, ()),
            )
        ]

    before = rows()
    assert [len(each) for each in before] == [12, 9, 3, 1]
    Run.objects.filter(pk=run.pk).update(stale_since=timezone.now())
    assert rescore_next()
    assert rows() == before


def test_constant_scores_are_exactly_a_half_with_no_width(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        predict(run, k, {unit: np.full(40, 0.5) for unit in edition.units.all()})
    run_score(run)
    for score in RunScore.objects.filter(run=run):
        assert (score.value, score.low, score.high, score.paper_value) == (0.5, 0.5, 0.5, 0.5)
        assert score.means["equal_error_rate"] == 0.5


def test_there_is_no_average_before_all_windows_are_predicted(edition: Edition, run: Run) -> None:
    predict(run, 0, draw(edition, 0))
    StepFactory(run=run, phase=Phase.PREDICT, window=1, state=StepState.RUNNING)
    run_score(run)
    assert not RunScore.objects.filter(run=run).exists()
