from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from leaderboard.board import Timeline, TimelineGenerator, TimelineWindow
from leaderboard.models import Prediction, Step
from leaderboard.selectors import curves
from leaderboard.selectors.curves import MIN_IMAGES, Curves, checkpoint_curves, coarse
from leaderboard.selectors.detectors import Asked, detector
from leaderboard.selectors.timelines import timeline
from protocols.periods import Period
from tests.leaderboard.factories import PredictionFactory, UnitFactory
from tests.leaderboard.world import N_IMAGES, World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Keys are those of a test's own world, and those of the next may be the same."""
    curves._drawn.cache_clear()


def drawn(world: World, **asked: object) -> Curves:
    report = detector(world.succeeded[0].pk, None, Asked(**asked))  # type: ignore[arg-type]
    assert report is not None
    assert report.curves is not None
    return report.curves


def scores_of(world: World, window: int, windows: range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The fakes' and the reals' scores of the first detector's state, over the generators of ``windows``."""
    step = Step.objects.get(
        run__submission=world.succeeded[0], run__seed=0, window=window, phase="predict", unit=None
    )
    line = timeline(world.edition)
    units = [g.unit_id for g in line.generators if g.window in windows]
    rows = [
        np.frombuffer(row.scores, "<f8")
        for row in Prediction.objects.filter(state_key=step.key, unit__in=units)
    ]
    assert len(rows) == 4 * len(windows)
    return np.concatenate([r[:N_IMAGES] for r in rows]), np.concatenate([r[N_IMAGES:] for r in rows])


def test_the_last_forecast_of_a_closed_window_is_shown_first(world: World) -> None:
    shown = drawn(world)
    assert (shown.window, shown.period) == (2, Period.NEXT)
    assert (shown.n_fakes, shown.n_reals) == (4 * N_IMAGES, 4 * N_IMAGES)
    # What is asked for and does not exist gives way to it.
    assert drawn(world, window=99) == shown
    assert drawn(world, window=1, period=Period.PAST).n_fakes == 8 * N_IMAGES
    assert drawn(world, window=3).n_fakes == N_IMAGES, "the open window is the last checkpoint's next"


def half_step(n: int) -> float:
    return next(step for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1) if step * n >= 2.5) / 2 + 1e-9


@pytest.mark.parametrize("n", [25, 60, 240, 1000, 2000, 4000, 36_000])
def test_one_image_alone_is_none(n: int) -> None:
    assert coarse(1 / n, n) == 0
    assert coarse(1 - 1 / n, n) == 1
    assert (coarse(0, n), coarse(0.5, n), coarse(1, n)) == (0, 0.5, 1)
    assert abs(coarse(1 / 3, n) - 1 / 3) <= half_step(n) + 0.0005


@pytest.mark.parametrize(
    ("window", "period", "windows"),
    [(2, Period.NEXT, range(3, 4)), (1, Period.PAST, range(2)), (1, Period.WHOLE, range(3))],
)
def test_the_figures_are_those_of_the_stored_scores(
    world: World, window: int, period: Period, windows: range
) -> None:
    fakes, reals = scores_of(world, window, windows)
    shown = drawn(world, window=window, period=period)
    assert (shown.roc[0].fpr, shown.roc[0].tpr) == (0, 0)
    assert (shown.roc[-1].fpr, shown.roc[-1].tpr, shown.roc[-1].threshold) == (1, 1, None)
    for point in shown.roc[1:-1]:
        # A threshold in thousandths may lie on the other side of a few scores.
        assert point.fpr == pytest.approx((reals > point.threshold).mean(), abs=0.03)
        assert point.tpr == pytest.approx((fakes > point.threshold).mean(), abs=0.03)
    for bin_ in shown.histogram[:-1]:
        for share, scores in ((bin_.fakes, fakes), (bin_.reals, reals)):
            assert share == pytest.approx(
                ((scores >= bin_.low) & (scores < bin_.high)).mean(), abs=half_step(len(scores))
            )
    everything = np.concatenate([fakes, reals])
    is_fake = np.arange(len(everything)) < len(fakes)
    for bin_ in shown.reliability[:-1]:
        inside = (everything >= bin_.low) & (everything < bin_.high)
        assert bin_.share == pytest.approx(inside.mean(), abs=half_step(len(everything)))
        if inside.sum() >= MIN_IMAGES:
            assert bin_.mean_score == round(everything[inside].mean(), 3)
            assert bin_.share_of_fakes == pytest.approx(is_fake[inside].mean(), abs=half_step(inside.sum()))
        else:
            assert (bin_.mean_score, bin_.share_of_fakes) == (None, None)


def test_operating_points_lie_where_their_thresholds_put_them(world: World) -> None:
    fakes, reals = scores_of(world, 2, range(3, 4))
    report = detector(world.succeeded[0].pk, None)
    points = {point.name: point for point in report.curves.points}
    assert set(points) == {"0.5", "past", "1 % FPR", "5 % FPR"}
    assert (points["0.5"].fpr, points["0.5"].tpr) == (
        round((reals > 0.5).mean(), 3),
        round((fakes > 0.5).mean(), 3),
    )
    chosen = report.periods[2].past.best_threshold
    assert points["past"].threshold == round(chosen, 3)
    assert (
        points["past"].tpr
        == round((fakes > chosen).mean(), 3)
        == round(report.periods[2].next.past_recall, 3)
    )
    assert points["1 % FPR"].tpr == round(report.periods[2].next.tpr_at_fpr_1, 3)
    assert points["1 % FPR"].fpr <= 0.01
    assert points["5 % FPR"].tpr == round(report.periods[2].next.tpr_at_fpr_5, 3)
    assert [p.threshold for p in report.curves.points] == sorted(p.threshold for p in report.curves.points)
    # Elsewhere the threshold would be judged on what it was chosen on.
    assert "past" not in {point.name for point in drawn(world, period=Period.PAST).points}


def test_no_figure_is_finer_than_a_thousandth(world: World) -> None:
    shown = drawn(world, period=Period.WHOLE)
    numbers = [n for p in shown.roc for n in (p.fpr, p.tpr, p.threshold) if n is not None]
    numbers += [n for p in shown.points for n in (p.threshold, p.fpr, p.tpr)]
    numbers += [n for b in shown.histogram for n in (b.fakes, b.reals)]
    numbers += [
        n for b in shown.reliability for n in (b.share, b.mean_score, b.share_of_fakes) if n is not None
    ]
    assert len(numbers) > 300
    assert [n for n in numbers if round(n, 3) != n] == []
    assert (len(shown.roc), len(shown.histogram)) <= (101, 25)


def line_of(units: list[object], n_closed: int = 2) -> Timeline:
    """A timeline with all ``units`` in its second window."""
    generators = tuple(
        TimelineGenerator(
            u.pk, u.generator_id, u.generator.slug, u.generator.name, "", u.generator.release_date, 1, False
        )
        for u in units
    )
    return Timeline(1, n_closed, (TimelineWindow(1, False, generators),), generators)


@pytest.mark.parametrize("n", [60, 2000])
def test_a_score_like_no_other_tells_nothing_of_its_image(n: int) -> None:
    """What somebody would learn who gives one image a score that no other has."""
    unit = UnitFactory(n_fakes=n, n_reals=n)
    told = []
    for is_fake in (True, False):
        rest = np.random.default_rng(1).uniform(0, 0.9, 2 * n)
        rest[0 if is_fake else n] = 0.99
        row = PredictionFactory(unit=unit, scores=rest.tobytes())
        found = checkpoint_curves(line_of([unit]), row.state_key, 0, Period.NEXT, chosen=None)
        assert found.reliability[-1].share_of_fakes is None
        assert found.reliability[-1].mean_score is None
        assert (found.histogram[-1].fakes, found.histogram[-1].reals) == (0.0, 0.0)
        told.append([(p.fpr, p.tpr) for p in found.roc if p.threshold is not None and p.threshold > 0.95])
    assert all(point == (0.0, 0.0) for points in told for point in points)


def test_units_that_are_not_predicted_yet_come_in_when_they_are(django_assert_num_queries) -> None:
    units = [UnitFactory() for _ in range(2)]
    line = line_of(units)
    first = PredictionFactory(unit=units[0], scores=np.linspace(0, 1, 20).tobytes())
    assert checkpoint_curves(line, first.state_key, 0, Period.NEXT, chosen=None).n_fakes == 10
    PredictionFactory(unit=units[1], state_key=first.state_key, scores=np.linspace(0, 1, 20).tobytes())
    assert checkpoint_curves(line, first.state_key, 0, Period.NEXT, chosen=None).n_fakes == 20
    with django_assert_num_queries(1):
        checkpoint_curves(line, first.state_key, 0, Period.NEXT, chosen=None)
    assert checkpoint_curves(line, "0" * 64, 0, Period.NEXT, chosen=None) is None
    assert checkpoint_curves(replace(line, windows=()), first.state_key, 5, Period.NEXT, chosen=None) is None


def test_a_detector_that_says_one_thing_of_everything(world: World) -> None:
    unit = UnitFactory()
    row = PredictionFactory(unit=unit, scores=np.full(20, 0.5).tobytes())
    found = checkpoint_curves(line_of([unit]), row.state_key, 0, Period.NEXT, chosen=None)
    assert [(p.fpr, p.tpr) for p in found.roc] == [(0, 0), (1, 1)]
    assert sum(b.fakes for b in found.histogram) == 1.0


def test_a_full_size_checkpoint_is_fast() -> None:
    """36 generators of 2,000 images; the bound has room for a busy machine."""
    units = [UnitFactory(n_fakes=1000, n_reals=1000) for _ in range(36)]
    random, key = np.random.default_rng(3), "c" * 64
    Prediction.objects.bulk_create(
        Prediction(state_key=key, unit=unit, scores=random.uniform(0, 1, 2000).tobytes()) for unit in units
    )
    line = line_of(units)
    begin = time.perf_counter()
    found = checkpoint_curves(line, key, 1, Period.PAST, chosen=None)
    took = time.perf_counter() - begin
    assert (found.n_fakes, found.n_reals, len(found.roc)) == (36_000, 36_000, 101)
    assert took < 0.5
    print(f"{took * 1000:.0f} ms")
