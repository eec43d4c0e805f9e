from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from leaderboard.models import FirstContact, Prediction, RunInfluence, RunScore, Step, Submission, UnitScore
from leaderboard.selectors.compare import (
    Cell,
    Comparison,
    Difference,
    Tally,
    comparison,
    offers,
)
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.services.boards import boards_refresh
from protocols.multiplicity import holm
from tests.leaderboard.factories import BenchmarkFactory, SubmissionFactory, UnitFactory, UserFactory
from tests.leaderboard.world import N_IMAGES, World

pytestmark = pytest.mark.django_db


def compared(world: World, *submissions: Submission, user: object = None) -> Comparison:
    found = comparison(world.benchmark, [s.pk for s in submissions], user)
    assert found is not None
    return found


def column(found: Comparison, detector: int, part: str = "contact") -> dict[str, Cell]:
    return {row.generator.slug: getattr(row, part)[detector] for row in found.rows}


def placements(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """V10 of every fake and V01 of every real, pair by pair (DeLong et al. 1988)."""
    fakes, reals = scores[:N_IMAGES, None], scores[None, N_IMAGES:]
    wins = (fakes > reals) + 0.5 * (fakes == reals)
    return wins.mean(axis=1), wins.mean(axis=0)


def scores_at(submission: Submission, window: int, slug: str) -> NDArray[np.float64]:
    step = Step.objects.get(
        run__submission=submission, run__seed=0, window=window, phase="predict", unit=None
    )
    row = Prediction.objects.get(state_key=step.key, unit__generator__slug=slug)
    return np.frombuffer(row.scores, "<f8")


@pytest.mark.parametrize(("part", "window"), [("contact", 1), ("newest", 3)])
def test_differences_are_those_of_delong_counted_pair_by_pair(world: World, part: str, window: int) -> None:
    first, second, _ = world.succeeded
    cell = column(compared(world, first, second), 1, part)["lanczos-3"]
    (v10, v01), (w10, w01) = (placements(scores_at(s, window, "lanczos-3")) for s in (second, first))
    variance = np.var(v10 - w10, ddof=1) / N_IMAGES + np.var(v01 - w01, ddof=1) / N_IMAGES
    difference, error = v10.mean() - w10.mean(), math.sqrt(variance)
    found = cell.difference
    assert found.value == pytest.approx(difference)
    assert found.low == pytest.approx(difference - 1.959964 * error, abs=1e-6)
    assert found.high == pytest.approx(difference + 1.959964 * error, abs=1e-6)
    assert found.p_value == pytest.approx(2 * NormalDist().cdf(-abs(difference) / error))
    assert cell.estimate.value == pytest.approx(v10.mean())


def test_each_cell_is_the_score_that_the_board_has(world: World) -> None:
    first, second, _ = world.succeeded
    found = compared(world, first, second)
    contact = FirstContact.objects.get(submission=second, generator__slug="vq-16")
    assert column(found, 1)["vq-16"].estimate == auroc(contact)
    newest = UnitScore.objects.get(
        run__submission=first, run__seed=0, window=3, unit__generator__slug="vq-16"
    )
    assert column(found, 0, "newest")["vq-16"].estimate == auroc(newest)
    assert column(found, 0)["vq-16"].difference is None, "the first is compared with nobody"
    assert [row.generator.slug for row in found.rows][:2] == ["nearest-2", "bilinear-2"]


def test_who_is_first_turns_the_sign_and_nothing_else(world: World) -> None:
    first, second, _ = world.succeeded
    one, other = compared(world, first, second), compared(world, second, first)
    for slug, cell in column(one, 1).items():
        turned = column(other, 1)[slug].difference
        if cell.difference is None:
            assert turned is None
            continue
        assert turned.value == pytest.approx(-cell.difference.value)
        assert (turned.low, turned.high) == pytest.approx((-cell.difference.high, -cell.difference.low))
        assert (turned.p_value, turned.differs) == (
            pytest.approx(cell.difference.p_value),
            cell.difference.differs,
        )
    assert one.detectors[1].headline.value == pytest.approx(-other.detectors[1].headline.value)
    tally = other.detectors[1].contact
    assert one.detectors[1].contact == Tally(tally.losses, tally.ties, tally.wins)


def test_missing_stays_missing(world: World) -> None:
    first, second, _ = world.succeeded
    found = compared(world, first, second, world.running)
    # The first window is trained on from the start.
    assert column(found, 1)["nearest-2"] == Cell(Estimate())
    assert column(found, 2, "newest")["nearest-2"] == Cell(Estimate())
    # What is under way has met the windows that it has been through, and has no average.
    assert column(found, 2)["blockwise-8"].difference is not None
    assert column(found, 2)["flow-2"] == Cell(Estimate())
    assert (found.detectors[2].entry, found.detectors[2].headline) == (None, None)
    assert found.detectors[2].contact.n == 8
    assert found.detectors[1].contact.n == 13


def test_a_missing_prediction_leaves_the_score_and_no_test(world: World) -> None:
    first, second, _ = world.succeeded
    Prediction.objects.filter(
        state_key=FirstContact.objects.get(submission=second, generator__slug="vq-16").state_key,
        unit__generator__slug="vq-16",
    ).delete()
    cell = column(compared(world, first, second), 1)["vq-16"]
    assert cell.estimate.value is not None
    assert cell.difference is None


def test_units_of_other_versions_are_other_images(world: World) -> None:
    first, second, _ = world.succeeded
    generator = world.corpus.generators.get(slug="flow-2")
    new = UnitFactory(benchmark=world.benchmark, generator=generator, version=2, joins=False)
    third = SubmissionFactory(benchmark=world.benchmark)
    contact = FirstContact.objects.get(submission=second, generator=generator)
    contact.pk, contact.submission, contact.unit = None, third, new
    contact.save()
    Prediction.objects.create(state_key=contact.state_key, unit=new, scores=np.zeros(20).tobytes())
    cell = column(compared(world, first, third), 1)["flow-2"]
    assert cell.estimate.value is not None
    assert cell.difference is None


def test_the_headline_is_tested_on_what_every_image_adds(world: World) -> None:
    first, second, _ = world.succeeded
    found = compared(world, second, first)
    headline = found.detectors[1].headline
    # The first detector has two seeds, and its headline is their mean.
    vectors = [
        np.frombuffer(row.values, "<f4").astype(float)
        for row in RunInfluence.objects.filter(run__submission=first)
    ]
    assert len(vectors) == 2
    other = np.frombuffer(RunInfluence.objects.get(run__submission=second).values, "<f4")
    error = math.sqrt(np.square((vectors[0] + vectors[1]) / 2 - other).sum())
    values = [
        np.mean(RunScore.objects.filter(run__submission=s, period="next").values_list("value", flat=True))
        for s in (first, second)
    ]
    assert headline.value == pytest.approx(values[0] - values[1])
    assert headline.high - headline.low == pytest.approx(2 * 1.959964 * error, rel=1e-5)
    assert headline.value == pytest.approx(
        found.detectors[1].entry.next.estimate.value - found.detectors[0].entry.next.estimate.value
    )
    # Without one run's vector, or on other images, there is nothing to test.
    row = RunInfluence.objects.filter(run__submission=first).first()
    RunInfluence.objects.filter(pk=row.pk).update(units=[*row.units, 0])
    assert compared(world, second, first).detectors[1].headline is None
    row.delete()
    assert compared(world, second, first).detectors[1].headline is None


def test_what_counts_is_asked_of_all_tests_of_a_table_together(world: World) -> None:
    found = compared(world, *world.succeeded)
    cells = [row.contact[i] for row in found.rows for i in (1, 2) if row.contact[i].difference]
    assert len(cells) == 26
    assert [c.difference.differs for c in cells] == holm([c.difference.p_value for c in cells])
    for i in (1, 2):
        outcomes = [c.difference.outcome for c in column(found, i).values() if c.difference]
        tally = found.detectors[i].contact
        assert (tally.wins, tally.ties, tally.losses) == tuple(map(outcomes.count, ("win", "tie", "loss")))
        assert tally.n == 13
    assert any(c.difference.outcome == "loss" for c in cells)
    assert found.detectors[0].contact == Tally()


def test_an_outcome_needs_a_test() -> None:
    apart = Difference(0.1, 0.05, 0.15, 0.001, differs=True)
    assert apart.outcome == "win"
    assert replace(apart, value=-0.1).outcome == "loss"
    assert replace(apart, differs=False).outcome == "tie"


def test_detectors_that_are_perfect_have_no_interval(world: World) -> None:
    first, second, _ = world.succeeded
    perfect = np.repeat([1.0, 0.0], N_IMAGES).tobytes()
    for submission in (first, second):
        contact = FirstContact.objects.get(submission=submission, seed=0, generator__slug="vq-16")
        Prediction.objects.filter(state_key=contact.state_key, unit=contact.unit).update(scores=perfect)
    difference = column(compared(world, first, second), 1)["vq-16"].difference
    assert difference == Difference(0.0, None, None, 1.0)


def test_private_entries_are_for_those_who_may_see_them(world: World) -> None:
    ids = [world.succeeded[0].pk, world.private.pk]
    assert comparison(world.benchmark, ids, None) is None
    assert comparison(world.benchmark, ids, UserFactory()) is None
    for user in (world.submitter, world.maintainer):
        found = comparison(world.benchmark, ids, user)
        assert found.detectors[1].entry.rank is None
        assert found.detectors[1].headline.value > 0


def test_what_is_not_on_the_benchmark_is_not_found(world: World) -> None:
    first = world.succeeded[0].pk
    assert comparison(world.benchmark, [first, uuid4()], None) is None
    assert comparison(world.benchmark, [first, world.rejected.pk], world.maintainer) is None
    assert comparison(BenchmarkFactory(), [first], None) is None
    assert comparison(world.benchmark, [], None).rows == ()
    elsewhere = SubmissionFactory()
    assert comparison(elsewhere.benchmark, [elsewhere.pk], None).timeline is None


@pytest.mark.parametrize("n", [2, 3])
def test_queries_do_not_grow_with_detectors(world: World, n: int, django_assert_num_queries) -> None:
    # Reads the board into memory, once in a process.
    compared(world, *world.succeeded[:n])
    with django_assert_num_queries(22):
        compared(world, *world.succeeded[:n])


class TestOffers:
    def names(self, world: World, user: object = None, words: str = "", **kw: object) -> list[str]:
        return [o.name for o in offers(world.benchmark, user, words, without=kw.get("without", []))]

    def test_the_boards_best_come_first(self, world: World) -> None:
        assert self.names(world)[:3] == ["npr", "durall-spectrum", "cifake-cnn"]
        assert self.names(world, without=[world.succeeded[0].pk])[0] == "durall-spectrum"

    def test_words_are_looked_for_in_names_and_teams(self, world: World) -> None:
        assert self.names(world, words="SPECT") == ["durall-spectrum"]
        assert "npr" in self.names(world, words=world.succeeded[0].team.name.upper())
        assert self.names(world, words="%") == []

    def test_ones_own_private_entries_are_offered_to_oneself(self, world: World) -> None:
        assert "unpublished-idea" not in self.names(world, words="unpublished")
        assert self.names(world, world.submitter, "unpublished") == ["unpublished-idea"]

    def test_there_are_never_many(self, world: World) -> None:
        for i in range(30):
            SubmissionFactory(benchmark=world.benchmark, visibility="private", name=f"p-{i}")
        boards_refresh(every=True)
        assert len(self.names(world, world.maintainer)) == 20
