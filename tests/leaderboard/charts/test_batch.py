"""The figures of a batch, against the numbers of the table beside them."""

from __future__ import annotations

from typing import Any

import pytest

from leaderboard.charts.batch import MOST_TICKS, distribution_figure
from leaderboard.selectors.batches import Bin, Distribution, distributions_of
from tests.leaderboard.batches import AUDIT


def spread(**distributions: Any) -> tuple[Distribution, ...]:
    return distributions_of({"distributions": distributions})


def test_shares_of_fakes_and_of_reals_add_up_to_the_whole() -> None:
    for distribution in distributions_of(AUDIT):
        fakes, reals = distribution_figure(distribution, simulated=False)["data"]
        assert sum(fakes["y"]) == pytest.approx(100)
        assert sum(reals["y"]) == pytest.approx(100)
        assert len(fakes["y"]) == len(distribution.bins)
        assert (fakes["name"], reals["name"]) == ("Fakes (200)", "Reals (300)")


def test_a_class_without_an_image_has_no_share_rather_than_none_of_it() -> None:
    (distribution,) = spread(format={"fakes": {"PNG": 3}, "reals": {}})
    fakes, reals = distribution_figure(distribution, simulated=False)["data"]
    assert fakes["y"] == [100]
    assert reals["y"] == [None]


def test_a_simulated_corpus_is_marked_in_the_picture_and_hostile_names_are_text() -> None:
    (distribution,) = spread(format={"fakes": {"<img src=x>": 1}, "reals": {"PNG": 1}})
    figure = distribution_figure(distribution, simulated=True)
    assert "Simulated corpus" in figure["layout"]["title"]["text"]
    assert "<img" not in str(figure)
    assert "&lt;img" in str(figure)


def test_fakes_and_reals_are_apart_without_colour() -> None:
    fakes, reals = distribution_figure(distributions_of(AUDIT)[0], simulated=False)["data"]
    assert fakes["marker"]["pattern"]["shape"] != reals["marker"]["pattern"]["shape"]


def test_many_qualities_are_labelled_sparsely_and_none_is_left_out() -> None:
    counts = {str(quality): 1 for quality in range(1, 101)}
    (distribution,) = spread(jpeg_quality={"fakes": {"null": 4}, "reals": counts})
    figure = distribution_figure(distribution, simulated=False)
    assert len(figure["data"][1]["y"]) == 101
    assert len(figure["layout"]["xaxis"]["tickvals"]) <= MOST_TICKS
    # By number and not by letter; what is no JPEG comes last.
    assert [b.label for b in distribution.bins] == [*(str(quality) for quality in range(1, 101)), "no JPEG"]


def test_histograms_are_in_the_units_of_their_title() -> None:
    (distribution,) = spread(bytes={"edges": [500, 10_000, 2_000_000], "fakes": [1, 2], "reals": [3, 4]})
    assert distribution.title == "File size, kB"
    assert distribution.bins == (Bin("0.5–10", 1, 3), Bin("10–2000", 2, 4))


@pytest.mark.parametrize(
    "odd",
    [
        {"edges": [1, 2], "fakes": [1, 2], "reals": [1]},
        {"edges": [1, None, 3], "fakes": [1, 2], "reals": [1, 2]},
        {"edges": [], "fakes": [], "reals": []},
        {"edges": "12", "fakes": [1], "reals": [1]},
    ],
)
def test_a_histogram_that_does_not_fit_is_left_out(odd: dict[str, Any]) -> None:
    assert spread(width=odd) == ()
