from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from protocols.errors import DataError
from protocols.pairing import pair, pair_newcomer, stratified_sample
from tests.protocols import reference

names = st.sampled_from(["", "ProGAN", "SDXL", "StyleGAN", "Ünknown"])
splits = st.lists(names, max_size=60)


def official_recipe(generators: list[str], seed: int) -> dict[int, str]:
    """The recipe of the protocol page, step by step, with the libraries the official code calls."""
    reals = [row for row, name in enumerate(generators) if not name]
    fakes = [row for row, name in enumerate(generators) if name]
    if len(reals) > len(fakes):
        random.seed(seed + 1)
        reals = random.sample(reals, len(fakes))
    elif len(fakes) > len(reals):
        strata = [generators[row] for row in fakes]
        fakes, _ = train_test_split(fakes, train_size=len(reals), stratify=strata, random_state=seed + 1)
    kept = reals + fakes
    order = [kept[i] for i in np.random.default_rng(seed + 3).permutation(len(kept))]
    positions = [row for row in order if not generators[row]]
    random.seed(seed + 4)
    random.shuffle(positions)
    partners = [row for row in order if generators[row]]
    return {real: generators[fake] for real, fake in zip(positions, partners, strict=True)}


@pytest.mark.shared
def test_the_pairing_of_the_official_code() -> None:
    plan = reference.window_plan()
    pairs = pair(plan["validation_generator"]).real_to_generator
    assert {str(row): name for row, name in pairs.items()} == plan["validation_real_to_generator"]


@given(splits)
def test_every_kept_image_is_in_one_pair_and_every_period_is_balanced(generators: list[str]) -> None:
    plan = pair(generators)
    n_reals = generators.count("")
    kept = min(n_reals, len(generators) - n_reals)
    assert len(plan.pairs) == kept
    assert len(plan.order) == len(set(plan.order)) == 2 * kept
    assert Counter(row for both in plan.pairs for row in both) == Counter(plan.order)
    assert all(not generators[real] and generators[fake] for real, fake in plan.pairs)
    assert Counter(plan.real_to_generator.values()) == Counter(
        generators[row] for row in plan.order if generators[row]
    )


@given(st.integers(1, 20), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_equal_numbers_keep_everything(n: int, seed: int, shuffler: random.Random) -> None:
    generators = ["", "a"] * n
    shuffler.shuffle(generators)
    plan = pair(generators, seed)
    assert sorted(plan.order) == list(range(2 * n))
    assert plan.real_to_generator == official_recipe(generators, seed)


@pytest.mark.parametrize("generators", [[], [""], ["", ""], ["a"], ["a", "b"]])
def test_one_side_alone_pairs_nothing(generators: list[str]) -> None:
    assert pair(generators).pairs == ()


@given(
    st.dictionaries(names.filter(bool), st.integers(2, 25), min_size=1),
    st.floats(0, 1),
    st.integers(0, 2**31),
    st.randoms(use_true_random=False),
)
def test_surplus_fakes_are_dropped_as_scikit_learn_does(
    counts: dict[str, int], share: float, seed: int, shuffler: random.Random
) -> None:
    fakes = [name for name, count in counts.items() for _ in range(count)]
    n_reals = round(share * len(fakes))
    # Outside these bounds scikit-learn refuses to split.
    assume(len(counts) <= n_reals <= len(fakes) - len(counts))
    generators = fakes + [""] * n_reals
    shuffler.shuffle(generators)
    assert pair(generators, seed).real_to_generator == official_recipe(generators, seed)


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=60), st.data())
def test_the_stratified_sample_is_proportional_even_where_scikit_learn_refuses(
    strata: list[str], data: st.DataObject
) -> None:
    n = data.draw(st.integers(0, len(strata) - 1))
    sample = stratified_sample(strata, n, seed=1)
    assert len(sample) == len(set(sample)) == n
    drawn = Counter(strata[i] for i in sample)
    for name, size in Counter(strata).items():
        assert abs(drawn[name] - n * size / len(strata)) < 1


def test_the_stratified_sample_is_scikit_learns_where_rounding_makes_its_unread_side_draw() -> None:
    strata = [name for name, size in zip("abcde", [5, 29, 21, 16, 5], strict=True) for _ in range(size)]
    expected, _ = train_test_split(range(len(strata)), train_size=29, stratify=strata, random_state=7)
    assert stratified_sample(strata, 29, seed=7) == expected


def test_the_pairing_leaves_the_global_generator_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    pair(["", "", "a"])
    pair_newcomer("sora", [1], [2, 3])
    assert random.random() == expected


ids = st.integers(0, 10**6)


@given(st.sets(ids, max_size=20), st.sets(ids, max_size=40), st.randoms(use_true_random=False))
def test_a_newcomer_takes_free_reals_whatever_their_order(
    fakes: set[int], reals: set[int], shuffler: random.Random
) -> None:
    assume(len(fakes) <= len(reals))
    pairs = pair_newcomer("sora", sorted(fakes), sorted(reals))
    assert [fake for _, fake in pairs] == sorted(fakes)
    taken = {real for real, _ in pairs}
    assert len(taken) == len(pairs)
    assert taken <= reals
    shuffled_fakes, shuffled_reals = list(fakes), list(reals)
    shuffler.shuffle(shuffled_fakes)
    shuffler.shuffle(shuffled_reals)
    assert pair_newcomer("sora", shuffled_fakes, shuffled_reals) == pairs


def test_two_newcomers_draw_differently() -> None:
    reals = range(1000)
    first = pair_newcomer("sora", range(20), reals)
    assert pair_newcomer("veo", range(20), reals) != first
    assert pair_newcomer("sora", range(20), reals, seed=7) != first


def test_too_few_reals_for_a_newcomer_name_it_and_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"sora .* 2 are missing") as caught:
        pair_newcomer("sora", ["a", "b", "c"], ["r"])
    assert caught.value.code == "not_enough_reals"
