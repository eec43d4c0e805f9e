"""The averages of a whole run, from its checkpoints: the parts are tested where they are."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.averages import averages
from protocols.evaluation import Checkpoint, average_over_time, evaluate_step
from protocols.periods import Period
from protocols.scores import ScoredImages
from protocols.spread import Redraws, count_pairs

# Three windows of two generators with ten pairs each, and a generator in no window.
WINDOW_OF_UNIT = [0, 0, 1, 1, 2, 2, -1]
UNIT_OF = np.repeat(np.arange(7), 20)
WINDOW_OF = np.array(WINDOW_OF_UNIT)[UNIT_OF]
LABELS = np.tile([0, 1], 70)


def scores(step: int) -> np.ndarray:
    return np.clip(np.random.default_rng(step).normal(0.4 + 0.2 * LABELS, 0.3), 0, 1).round(2)


def checkpoints(*steps: int) -> list[Checkpoint]:
    return [Checkpoint(LABELS, scores(step), WINDOW_OF, step) for step in steps]


@pytest.mark.parametrize("periods", [tuple(Period), (Period.NEXT, Period.PAST, Period.WHOLE)])
def test_the_averages_are_those_of_every_step_alone(periods: tuple[Period, ...]) -> None:
    found = averages(checkpoints(0, 1, 2), UNIT_OF, WINDOW_OF_UNIT, 3, periods)
    assert tuple(found) == periods
    alone = {
        step: evaluate_step(LABELS, scores(step), WINDOW_OF, step, 3, paper_compatible=True)
        for step in range(3)
    }
    everything = {
        step: count_pairs(ScoredImages(LABELS, scores(step)).groups(), UNIT_OF, 7) for step in range(3)
    }
    redraws = Redraws(WINDOW_OF_UNIT, 3)
    for period, average in found.items():
        expected = average_over_time(alone, period, 3)
        assert average.forecasts.means == expected.means
        assert average.forecasts.interval == expected.interval
        paper = average_over_time(alone, period, 3, paper_compatible=True)
        assert average.paper_compatible.means == paper.means
        generators = redraws.interval(everything, period)
        assert generators is not None
        assert average.generators is not None
        assert (average.generators.low, average.generators.high) == pytest.approx(
            (generators.low, generators.high), abs=1e-12
        )


def test_a_run_that_is_not_done_has_no_averages() -> None:
    found = averages(checkpoints(0), UNIT_OF, WINDOW_OF_UNIT, 3)
    assert {average.forecasts.auroc for average in found.values()} == {None}
    assert {average.generators for average in found.values()} == {None}
