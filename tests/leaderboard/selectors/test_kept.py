from __future__ import annotations

import pytest
from django.test import Client

from leaderboard.models import Benchmark, Run, RunTransfer, TrainingMode
from leaderboard.selectors.boards import leaderboard
from leaderboard.selectors.rows import Kept
from leaderboard.services.boards import board_touch, boards_refresh
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
# Forgetting and backward transfer of the three detectors, and of one that is private.
MEASURES = {"npr": (0.02, -0.02), "durall-spectrum": (0.10, 0.01), "cifake-cnn": (0.02, None)}


@pytest.fixture
def continual(world: World) -> Benchmark:
    RunTransfer.objects.all().delete()
    for run in Run.objects.filter(submission__name__in=MEASURES):
        forgetting, backward = MEASURES[run.submission.name]
        RunTransfer.objects.create(run=run, forgetting=forgetting, backward=backward, forward=0.1)
    private = world.private.runs.get()
    RunTransfer.objects.create(run=private, forgetting=-1.0, backward=1.0, forward=0.1)
    Benchmark.objects.filter(pk=world.benchmark.pk).update(training_mode=TrainingMode.CONTINUAL)
    board_touch(world.benchmark.pk)
    boards_refresh()
    found: Benchmark = Benchmark.objects.select_related("corpus").get(pk=world.benchmark.pk)
    return found


def test_less_forgetting_and_more_transfer_rank_higher(continual: Benchmark) -> None:
    kept = {row.entry.name: row.kept for row in leaderboard(continual, None).rows}
    assert kept["npr"] == Kept(0.02, 1, -0.02, 2)
    assert kept["cifake-cnn"] == Kept(0.02, 1, None, None)
    assert kept["durall-spectrum"] == Kept(0.10, 3, 0.01, 1)
    assert kept["ensemble-of-everything"] == Kept()


def test_a_private_entry_takes_nobodys_rank(continual: Benchmark, world: World) -> None:
    board = leaderboard(continual, world.submitter)
    assert [row.kept for row in board.own] == [Kept(-1.0, None, 1.0, None)]
    kept = {row.entry.name: row.kept for row in board.rows}
    assert kept["npr"].forgetting_rank == 1


def test_the_board_has_sortable_columns_for_them(continual: Benchmark, client: Client) -> None:
    html = client.get("/b/families-v1/").content.decode()
    assert 'href="?sort=forgetting"' in html, "the first click puts the least on top"
    assert 'href="?sort=-backward"' in html
    assert "+0.020" in html
    by_backward = client.get("/b/families-v1/?sort=-backward").content.decode()
    assert (
        by_backward.index(">durall-spectrum<")
        < by_backward.index(">npr<")
        < by_backward.index(">cifake-cnn<")
    )
    rows = client.get("/api/v1/benchmarks/families-v1/leaderboard/").json()["rows"]
    assert rows[0]["kept"].keys() == {"forgetting", "forgetting_rank", "backward", "backward_rank"}
    assert {row["entry"]["name"]: row["kept"]["forgetting"] for row in rows}["npr"] == 0.02


def test_other_boards_have_none(world: World, client: Client) -> None:
    html = client.get("/b/families-v1/?sort=forgetting").content.decode()
    assert "What it keeps" not in html
    assert html.index(">npr<") < html.index(">cifake-cnn<"), "an order that it does not have is the ranking"
    assert 'id="sort-forgetting"' not in html


def test_a_run_that_is_scored_has_its_transfer(world: World) -> None:
    """Averages and transfer are written together, so a board never has one without the other."""
    scored = Run.objects.filter(scores__period="next", scores__value__isnull=False)
    assert RunTransfer.objects.filter(run__in=scored, forgetting__isnull=False).count() == scored.count() > 0
