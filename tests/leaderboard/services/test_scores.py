"""Scores from predictions: against scikit-learn, and with the windows that each period covers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from leaderboard.models import Edition, PeriodScore, Run, RunScore, Unit, UnitScore
from leaderboard.services.scores import run_score, window_score
from protocols.contract import Phase
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


@pytest.fixture
def edition() -> Edition:
    """Three closed windows of one generator, and one generator in the open window."""
    benchmark = BenchmarkFactory(generators_per_window=1)
    edition = EditionFactory(benchmark=benchmark)
    for index in range(N_WINDOWS + 1):
        generator = GeneratorFactory(corpus=benchmark.corpus, release_date=date(2020, 1 + index, 1))
        UnitFactory(benchmark=benchmark, generator=generator, n_fakes=20, n_reals=20)
        if index < N_WINDOWS:
            WindowFactory(edition=edition, index=index, generators=[generator])
    return edition


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
            assert row.brier == pytest.approx(np.mean((scores[unit] - np.repeat([1, 0], 20)) ** 2))
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


def test_constant_scores_are_exactly_a_half_with_no_width(edition: Edition, run: Run) -> None:
    for k in range(N_WINDOWS):
        predict(run, k, {unit: np.full(40, 0.5) for unit in edition.units.all()})
    run_score(run)
    for score in RunScore.objects.filter(run=run):
        assert (score.value, score.low, score.high, score.paper_value) == (0.5, 0.5, 0.5, 0.5)


def test_there_is_no_average_before_all_windows_are_predicted(edition: Edition, run: Run) -> None:
    predict(run, 0, draw(edition, 0))
    StepFactory(run=run, phase=Phase.PREDICT, window=1, state=StepState.RUNNING)
    run_score(run)
    assert not RunScore.objects.filter(run=run).exists()
