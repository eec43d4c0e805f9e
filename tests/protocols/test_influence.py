from __future__ import annotations

import numpy as np
import pytest

from protocols.delong import Auroc, delong, paired_test
from protocols.influence import over_seeds, pack, unpack

LABELS = np.repeat([1, 0], 300)


def scored(seed: int) -> Auroc:
    rng = np.random.default_rng(seed)
    estimate = delong(LABELS, rng.normal(size=600) + LABELS)
    assert estimate is not None
    return estimate


def test_a_test_of_what_was_kept_is_that_of_the_originals() -> None:
    estimates = [scored(0), scored(1)]
    everything = np.ones(600, dtype=bool)
    kept = [unpack(e.value, pack(e, everything), e.n_pairs) for e in estimates]
    test, again = paired_test(*estimates), paired_test(*kept)
    assert test is not None
    assert again is not None
    assert again.difference == test.difference
    assert again.p_value == pytest.approx(test.p_value, rel=1e-5)
    assert kept[0].variance == pytest.approx(estimates[0].variance, rel=1e-5)


def test_only_the_images_of_the_average_are_kept() -> None:
    chosen = np.arange(600) % 2 == 0
    kept = np.frombuffer(pack(scored(0), chosen), dtype="<f4")
    np.testing.assert_allclose(kept, scored(0).contributions[chosen], rtol=1e-6)


def test_seeds_have_a_mean_to_rank_by_and_their_spread() -> None:
    runs = [scored(seed) for seed in range(3)]
    seeds = over_seeds(runs)
    values = [run.value for run in runs]
    assert (seeds.low, seeds.high, seeds.n) == (min(values), max(values), 3)
    assert seeds.mean.value == pytest.approx(np.mean(values))
    np.testing.assert_allclose(seeds.mean.contributions, np.mean([r.contributions for r in runs], axis=0))
    single = over_seeds(runs[:1])
    assert (single.mean.value, single.low, single.high, single.n) == (values[0], values[0], values[0], 1)
    with pytest.raises(ValueError, match="0 estimates"):
        over_seeds([])
