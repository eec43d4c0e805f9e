"""Tables in terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tidemark.results import print_results
from tidemark.show import print_preview
from tidemark.tables import table

N_GENERATORS, N_WINDOWS = 36, 9


def printer(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, markup=False, highlight=False, soft_wrap=True)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 80, 300])
def test_no_value_is_cut_and_columns_stand_below_each_other(width: int) -> None:
    console = printer(width)
    made = table("Name", *(f">window {n}" for n in range(20)), indent=2)
    made.add_row("a rather long name [of] a thing", *(f"{n}.{n}" for n in range(20)))
    console.print(made)
    head, row = printed(console)
    assert head.split() == ["Name", *(word for n in range(20) for word in ("window", str(n)))]
    assert row.split()[:7] == ["a", "rather", "long", "name", "[of]", "a", "thing"]
    assert row.split()[7:] == [f"{n}.{n}" for n in range(20)]
    assert head.startswith("  Name")
    assert head.index("window 19") + len("window 19") == row.index("19.19") + 5


def test_a_sentence_is_wrapped_in_its_column() -> None:
    console = printer(40)
    made = table("Step", "~Why")
    made.add_row("1", "because " * 12)
    console.print(made)
    lines = printed(console)
    assert len(lines) == 3
    assert {line.index("because") for line in lines[1:]} == {lines[0].index("Why")}


def test_the_results_of_a_long_benchmark_are_whole_in_eighty_columns() -> None:
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    generators = [
        {
            "slug": f"generator-{n}",
            "name": f"Generator {n}",
            "release_date": "2024-01-01",
            "window": n // 4,
            "is_open": False,
        }
        for n in range(N_GENERATORS)
    ]
    cell = {"value": 0.875}
    entry = {"rank": 1, "rank_best": 1, "rank_worst": 2, "n_windows": N_WINDOWS}
    console = printer(80)
    print_results(
        console,
        {
            "name": "spectrum",
            "benchmark": "long",
            "simulated": True,
            "n_ranked": 2,
            "entry": entry | dict.fromkeys(("next", "past", "whole"), estimate),
            "generators": [
                {
                    "generator": generator,
                    "prospective": True,
                    **{when: {"auroc": estimate} for when in ("before", "after", "last")},
                }
                for generator in generators
            ],
            "timeline": {"generators": generators},
            "matrix": [[cell] * N_GENERATORS for _ in range(N_WINDOWS)],
        },
    )
    lines = printed(console)
    assert not [line for line in lines if "…" in line]
    assert len([line for line in lines if line.split()[1:] == ["87.5"] * N_WINDOWS]) == N_GENERATORS
    assert max(len(line) for line in lines if "87.5" in line) <= 80


def test_the_costs_of_a_publication_are_whole_in_a_narrow_terminal() -> None:
    cost = {"n_steps": 12345, "n_reused": 0, "container_s": 86400, "gpu_s": 3600, "cost": 1234.5}
    console = printer(30)
    print_preview(
        console,
        {
            "benchmarks": [
                {
                    "benchmark": "families-v1",
                    "place": "open",
                    "window": 3,
                    "closes": True,
                    "arrival": cost,
                    "closing": [cost | {"phase": "train"}],
                    "needs_approval": False,
                    "warnings": [],
                }
            ],
            "warnings": [],
            "blockers": [],
            "needs_reason": False,
            "currency": "EUR",
        },
    )
    rows = [line for line in printed(console) if "12,345" in line]
    assert len(rows) == 2
    assert all(row.startswith("    ") and row.endswith("1234.50 EUR") for row in map(str.rstrip, rows))
