from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.multiplicity import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=30)


def test_the_steps_by_hand() -> None:
    # Held to 0.0125, 0.0167, 0.025: the third fails, and so does the one after it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([0.01, 0.016, 0.024, 0.05]) == [True] * 4
    assert holm([]) == []
    assert holm([0.05]) == [True]


def test_the_first_failure_ends_it() -> None:
    assert holm([0.02, 0.02, 0.02]) == [False] * 3


@given(P_VALUES)
def test_it_rejects_all_that_bonferroni_does_and_nothing_above_the_level(p_values: list[float]) -> None:
    rejected = holm(p_values)
    for p, is_rejected in zip(p_values, rejected, strict=True):
        assert is_rejected or p > 0.05 / len(p_values)
        assert not is_rejected or p <= 0.05


@given(P_VALUES, st.randoms())
def test_the_order_does_not_matter(p_values: list[float], random: object) -> None:
    shuffled = list(range(len(p_values)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = holm([p_values[i] for i in shuffled])
    assert [again[shuffled.index(i)] for i in range(len(p_values))] == holm(p_values)


def test_false_alarms_are_at_most_as_many_as_the_level_says() -> None:
    """2,000 tables of twenty tests without a difference, seeded; the bound is four standard errors off."""
    random = np.random.default_rng(11)
    alarms = np.mean([any(holm(random.uniform(0, 1, 20).tolist())) for _ in range(2000)])
    assert alarms == pytest.approx(0.05, abs=0.02)
