"""What the commands of this package print."""

from __future__ import annotations

import pytest
from rich.table import Table

from local.terminal import say_table


def test_a_table_wider_than_the_terminal_is_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    headings = [f"window {n}" for n in range(12)]
    table = Table(*headings)
    table.add_row(*(f"{n}.{n}" for n in range(12)))
    say_table(table)
    head, row = (line for line in capsys.readouterr().out.splitlines() if "window 0" in line or "0.0" in line)
    assert all(heading in head for heading in headings)
    assert "11.11" in row
