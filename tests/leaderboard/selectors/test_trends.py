from __future__ import annotations

import pytest

from leaderboard.selectors import trends as module
from leaderboard.selectors.trends import Trends, trends
from leaderboard.selectors.views import View
from leaderboard.services.boards import board_touch, boards_refresh
from tests.leaderboard.factories import RunFactory, RunScoreFactory, SubmissionFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def found(world: World) -> Trends:
    null_row = SubmissionFactory(benchmark=world.benchmark, name="null", null_row="constant")
    RunScoreFactory(run=RunFactory(submission=null_row, edition=world.edition, state="succeeded"), value=0.99)
    board_touch(world.benchmark.pk)
    boards_refresh()
    return trends(world.benchmark)


def test_lines_are_the_ranked_detectors_best_first(found: Trends) -> None:
    assert [(line.name, line.rank) for line in found.lines] == [
        ("npr", 1),
        ("durall-spectrum", 2),
        ("cifake-cnn", 3),
    ]
    assert found.timeline is not None
    for line in found.lines:
        assert len(line.ranks) == len(line.aurocs) == len(found.timeline.forecasts)
    for k in range(4):
        by_auroc = sorted(found.lines, key=lambda line: -(line.aurocs[k] or 0))
        ranks = [line.ranks[k] for line in by_auroc]
        assert ranks == sorted(ranks), "a window's ranks follow its AUROCs"
        # The one that failed has a score on the first window, and takes nobody's rank there.
        assert sorted(rank or 0 for rank in ranks) == [1, 2, 3]
    assert found.n_ranked == 3


def test_on_the_front_is_who_is_beaten_by_nobody(found: Trends) -> None:
    # The cheapest, then the best; the third is dearer than the first and worse.
    assert [(point.name, point.is_on_front) for point in found.points] == [
        ("durall-spectrum", True),
        ("npr", True),
        ("cifake-cnn", False),
    ]
    assert [point.name for point in found.on_front] == ["durall-spectrum", "npr"]
    assert found.points[0].cost_s < found.points[1].cost_s
    assert (found.n_priced, found.n_drawn) == (3, 3), "a null row without a cost is not drawn"


def test_only_so_many_are_drawn_and_the_front_is_among_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_POINTS", 0)
    monkeypatch.setattr(module, "MOST_LINES", 2)
    found = trends(world.benchmark)
    assert [point.name for point in found.points] == ["durall-spectrum", "npr"]
    assert (found.n_drawn, found.n_priced) == (2, 3)
    assert [line.name for line in found.lines] == ["npr", "durall-spectrum"]


def test_they_are_of_the_board_that_the_view_names(world: World) -> None:
    assert trends(world.benchmark, View(asof="edition-1")).lines == trends(world.benchmark).lines
    assert trends(world.benchmark, View(asof="2020-01-01")).shown is None
