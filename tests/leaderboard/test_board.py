"""The format of boards: what was written once can be read for good."""

from __future__ import annotations

import pytest

from leaderboard.board import SCHEMA, Snapshot, encode
from leaderboard.models import Board
from leaderboard.selectors.rows import board_rows
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def snapshot(world: World) -> Snapshot:
    return Snapshot.decode(bytes(Board.objects.filter(benchmark=world.benchmark)[0].table))


def test_reading_and_writing_changes_nothing(snapshot: Snapshot) -> None:
    again = Snapshot.decode(encode(snapshot.table, snapshot.timelines))
    assert again.table.equals(snapshot.table)
    assert again.timelines == snapshot.timelines
    assert again.table.schema.equals(SCHEMA)


@pytest.mark.parametrize("column", ["brier", "windows_rank", "prospective", "cost_s"])
def test_a_board_of_before_a_column_was_there_can_be_read(snapshot: Snapshot, column: str) -> None:
    before = encode(snapshot.table.drop_columns([column]), snapshot.timelines)
    read = Snapshot.decode(before)
    assert not any(read.table[column].to_pylist()), "missing, or a list of nothing"
    assert [row.entry.name for row in board_rows(read, range(len(read)))] == [
        row.entry.name for row in board_rows(snapshot, range(len(snapshot)))
    ]
