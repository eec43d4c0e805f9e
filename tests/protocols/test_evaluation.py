from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from protocols.delong import delong, interval
from protocols.evaluation import PAST_FRACTIONS, Checkpoint, average_over_time, evaluate_step
from protocols.metrics import FRACTIONS, Metrics, evaluate
from protocols.periods import Period, averaged_steps, window_range

# Three windows with ten pairs each, and two reals that no generator is paired with.
WINDOW_OF = np.array([*np.repeat([0, 1, 2], 20), -1, -1])
LABELS = np.array([*np.tile([0, 1], 30), 0, 0])
PUBLISHED = [Period.NEXT, Period.PAST, Period.WHOLE]


def run(n_windows: int = 3, paper_compatible: bool = False, seed: int = 0):
    rng = np.random.default_rng(seed)
    return {
        step: evaluate_step(
            LABELS,
            np.clip(rng.normal(0.4 + 0.2 * LABELS, 0.2), 0, 1),
            WINDOW_OF,
            step,
            n_windows,
            paper_compatible=paper_compatible,
        )
        for step in range(n_windows)
    }


def test_the_fractions_are_the_metrics_that_are_no_counts_and_no_threshold() -> None:
    hints = {field.name: field.type for field in dataclasses.fields(Metrics)}
    averaged = [name for name, kind in hints.items() if kind != "int" and name != "best_threshold"]
    assert tuple(averaged) == FRACTIONS


@given(npst.arrays(float, len(LABELS), elements=st.floats(0, 1)), st.integers(0, 2), st.booleans())
def test_a_period_is_scored_on_its_own_images_alone(scores: np.ndarray, step: int, paper: bool) -> None:
    results = evaluate_step(LABELS, scores, WINDOW_OF, step, 3, paper_compatible=paper)
    assert set(results) == set(Period)
    for period, result in results.items():
        chosen = np.isin(WINDOW_OF, window_range(period, step, 3, paper_compatible=paper))
        assert result.metrics == evaluate(LABELS[chosen], scores[chosen])
        if period != Period.NEXT:
            assert result.past is None
        alone = delong(LABELS[chosen], scores[chosen])
        if alone is None:
            assert result.auroc is None
        else:
            assert result.auroc is not None
            assert result.auroc.variance == pytest.approx(alone.variance, abs=1e-15)
            assert len(result.auroc.contributions) == len(LABELS)


@given(npst.arrays(float, len(LABELS), elements=st.floats(0, 1)), st.integers(0, 1))
def test_the_threshold_of_the_past_judges_the_next_window(scores: np.ndarray, step: int) -> None:
    results = evaluate_step(LABELS, scores, WINDOW_OF, step, 3)
    past = results[Period.NEXT].past
    assert past is not None
    assert past.past_threshold == results[Period.PAST].metrics.best_threshold
    chosen = step + 1 == WINDOW_OF
    expected = evaluate(LABELS[chosen], scores[chosen], past.past_threshold)
    assert (past.past_balanced_accuracy, past.past_tnr, past.past_recall) == (
        expected.balanced_accuracy,
        expected.tnr,
        expected.recall,
    )


def test_without_a_next_window_no_threshold_is_applied() -> None:
    assert evaluate_step(LABELS, LABELS / 2, WINDOW_OF, 2, 3)[Period.NEXT].past is None
    one_class = np.zeros_like(LABELS)
    assert evaluate_step(one_class, LABELS / 2, WINDOW_OF, 0, 3)[Period.NEXT].past is None


@given(npst.arrays(float, len(LABELS), elements=st.floats(0, 1)))
def test_a_generator_is_scored_on_its_own_images_alone(scores: np.ndarray) -> None:
    unit_of = np.where(WINDOW_OF < 0, -1, np.arange(len(LABELS)) // 2 % 5)
    results = Checkpoint(LABELS, scores, WINDOW_OF, 0).units(unit_of, 6)
    for unit, result in enumerate(results):
        chosen = unit_of == unit
        assert result.metrics == evaluate(LABELS[chosen], scores[chosen])
        alone = delong(LABELS[chosen], scores[chosen])
        expected = alone.variance if alone else None
        assert result.roc_auc_variance == pytest.approx(expected, abs=1e-15)
    assert results[5].metrics.n_fake_images == results[5].metrics.n_real_images == 0


def test_one_checkpoint_answers_for_timelines_of_any_length() -> None:
    scores = np.random.default_rng(1).uniform(size=len(LABELS))
    checkpoint = Checkpoint(LABELS, scores, WINDOW_OF, 1)
    for n_windows in (2, 3):
        for paper in (False, True):
            again = evaluate_step(LABELS, scores, WINDOW_OF, 1, n_windows, paper_compatible=paper)
            results = checkpoint.results(n_windows, paper_compatible=paper, periods=PUBLISHED)
            assert list(results) == PUBLISHED
            for period, result in results.items():
                assert (result.metrics, result.past) == (again[period].metrics, again[period].past)


def test_an_average_is_the_mean_over_its_steps_with_an_interval() -> None:
    results = run()
    for period in Period:
        average = average_over_time(results, period, 3)
        assert list(average.steps) == averaged_steps(period, 3)
        for name in FRACTIONS:
            values = [getattr(results[step][period].metrics, name) for step in average.steps]
            assert average.means[name] == pytest.approx(np.mean(values))
        assert set(average.means) == {*FRACTIONS, *(PAST_FRACTIONS if period == Period.NEXT else ())}
        if period == Period.NEXT:
            for name in PAST_FRACTIONS:
                values = [getattr(results[step][period].past, name) for step in average.steps]
                assert average.means[name] == pytest.approx(np.mean(values))
        auroc = average.means["roc_auc"]
        assert auroc is not None
        assert average.interval is not None
        assert average.interval.low < auroc < average.interval.high


def test_an_average_of_two_forecasts_is_surer_than_either() -> None:
    results = run()
    average = average_over_time(results, Period.NEXT, 3)
    assert average.interval is not None
    for step in average.steps:
        auroc = results[step][Period.NEXT].auroc
        assert auroc is not None
        alone = interval(auroc)
        assert alone is not None
        assert average.interval.high - average.interval.low < alone.high - alone.low


def test_the_paper_compatible_average_takes_the_last_window_too() -> None:
    results = run(paper_compatible=True)
    paper = average_over_time(results, Period.NEXT, 3, paper_compatible=True)
    assert paper.steps == (0, 1, 2)
    assert average_over_time(results, Period.NEXT, 3).steps == (0, 1)
    # Without the fallback the last step has no next window, and a mean over it is undefined.
    undefined = average_over_time(run(), Period.NEXT, 3, paper_compatible=True)
    assert undefined.means["roc_auc"] is None
    assert undefined.interval is None


def test_a_missing_step_leaves_the_average_undefined() -> None:
    results = run()
    del results[1]
    average = average_over_time(results, Period.PAST, 3)
    assert average.steps == (0, 1)
    assert set(average.means.values()) == {None}
    assert average.interval is None
    assert average_over_time(results, Period.PAST, 2).means["roc_auc"] is not None


def test_an_open_window_is_the_next_of_the_last_checkpoint() -> None:
    """A live server trains on windows 0 and 1 of 3: both steps have a forecast."""
    trained = {step: result for step, result in run(n_windows=3).items() if step < 2}
    average = average_over_time(trained, Period.NEXT, 3)
    assert average.steps == (0, 1)
    assert average.means["roc_auc"] is not None


def test_images_beyond_the_timeline_are_in_no_period() -> None:
    results = evaluate_step(LABELS, LABELS / 2, WINDOW_OF, 0, 2)
    assert results[Period.ALL].metrics.n_fake_images == 20
    assert results[Period.ALL].metrics.n_real_images == 20
    nothing = evaluate_step(LABELS, LABELS / 2, WINDOW_OF, 1, 2)[Period.NEXT]
    assert nothing.auroc is None
    assert nothing.metrics.roc_auc is None


def test_one_window_alone_has_no_headline() -> None:
    average = average_over_time(run(n_windows=1), Period.NEXT, 1)
    assert average.steps == ()
    assert average.means["roc_auc"] is None
