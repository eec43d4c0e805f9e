"""``tidemark score`` on dumps in the official format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.protocols import reference
from tests.tidemark.dumps import official_dumps, small_dumps, write
from tidemark.cli import app

FRACTIONS = {
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "tnr",
}
COUNTS = {"tp", "tn", "fp", "fn", "n_real_images", "n_fake_images"}
# What the official script doesn't compute.
BEYOND = {
    "tpr_at_fpr_1",
    "tpr_at_fpr_5",
    "equal_error_rate",
    "brier",
    "calibration_error",
    "best_threshold",
    "best_balanced_accuracy",
}
# The next period with the threshold that was best on the past.
PAST = {"past_threshold", "past_balanced_accuracy", "past_tnr", "past_recall"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["score", *map(str, arguments)])


def report(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.shared
def test_the_json_equals_the_official_results(tmp_path: Path) -> None:
    got = report(write(tmp_path, official_dumps()))
    expected = reference.period_metrics()["rows"]
    assert [(row["window"], row["mechanism"]) for row in got["rows"]] == [
        (row["window"], row["mechanism"])
        for window in range(9)
        for row in sorted(
            (row for row in expected if row["window"] == window),
            key=lambda row: ["immediate_future", "growing", "growing_whole", "past", "all"].index(
                row["mechanism"]
            ),
        )
    ]
    results = {(row["window"], row["mechanism"]): row["result"] for row in got["rows"]}
    for row in expected:
        mine = results[row["window"], row["mechanism"]]
        past = PAST if row["mechanism"] == "immediate_future" else set()
        assert set(mine) == FRACTIONS | COUNTS | BEYOND | past
        if "error" in row:
            assert {mine[name] for name in FRACTIONS | BEYOND} == {None}
            assert {mine[name] for name in COUNTS} == {0}
        else:
            official = {name: mine[name] for name in FRACTIONS | COUNTS}
            assert official == pytest.approx(row["result"], abs=1e-9, rel=0)
            assert 0 < mine["tpr_at_fpr_1"] <= mine["tpr_at_fpr_5"] <= 1
            assert mine["balanced_accuracy"] <= mine["best_balanced_accuracy"] <= 1


@pytest.mark.shared
def test_the_averages_over_time_are_those_of_the_official_rows(tmp_path: Path) -> None:
    averages = report(write(tmp_path, official_dumps()))["average_over_time"]
    rows = [row for row in reference.period_metrics()["rows"] if "result" in row]
    for name, n in (("headline", 8), ("paper_compatible", 9)):
        for mechanism in ("immediate_future", "growing", "growing_whole", "past", "all"):
            average = averages[name][mechanism]
            members = [row for row in rows if row["mechanism"] == mechanism and row["window"] < n]
            assert average["windows"] == [row["window"] for row in members]
            for metric in FRACTIONS:
                mean = np.mean([row["result"][metric] for row in members])
                assert average[metric] == pytest.approx(mean, abs=1e-9)
            assert 0 < average["roc_auc_low"] < average["roc_auc"] < average["roc_auc_high"] < 1


@pytest.mark.shared
def test_people_see_every_window_and_period(tmp_path: Path) -> None:
    result = run(write(tmp_path, official_dumps()))
    assert result.exit_code == 0
    text = result.stdout
    rows = {
        (row["window"], row["mechanism"]): row.get("result") for row in reference.period_metrics()["rows"]
    }
    for (window, mechanism), expected in rows.items():
        section = text.split(f"({mechanism})")[1]
        line = next(
            line
            for line in section.splitlines()
            if line.split() and line.split()[0].strip("*") == str(window)
        )
        shown = "–" if expected is None else f"{100 * expected['roc_auc']:.2f}"
        assert line.split()[1] == shown
    headline = np.mean([rows[k, "immediate_future"]["roc_auc"] for k in range(8)])
    paper = np.mean([rows[k, "immediate_future"]["roc_auc"] for k in range(9)])
    line = next(line for line in text.splitlines() if line.strip().startswith("Next  "))
    assert f"{100 * headline:.2f} [" in line
    assert line.endswith(f"paper-compatible (mean 0–8): {100 * paper:.2f}")
    assert "8*" in text
    assert max(map(len, text.splitlines())) <= 100


def test_short_windows_and_images_in_any_order(tmp_path: Path) -> None:
    dumps = small_dumps()
    order = np.array([5, 2, 7, 0, 1, 6, 3, 4])
    for name in ("fused_generator_ids", "fused_identifiers", "pairing", "fused_scores"):
        dumps[1][name] = dumps[1][name][order]
    got = report(write(tmp_path, dumps))
    results = {(row["window"], row["mechanism"]): row["result"] for row in got["rows"]}
    assert results[0, "growing"]["n_fake_images"] == 2
    assert results[0, "immediate_future"]["n_fake_images"] == 1
    assert {results[k, "all"]["roc_auc"] for k in range(3)} == {1}
    assert got["average_over_time"]["headline"]["immediate_future"]["roc_auc"] == 1
    # A period with one pair of images has no interval.
    assert got["average_over_time"]["headline"]["immediate_future"]["roc_auc_low"] is None


def test_the_headline_leaves_out_the_last_window(tmp_path: Path) -> None:
    dumps = small_dumps()
    dumps[2]["fused_scores"] = 1 - dumps[2]["fused_scores"]
    averages = report(write(tmp_path, dumps))["average_over_time"]
    assert averages["headline"]["immediate_future"]["roc_auc"] == 1
    assert averages["paper_compatible"]["immediate_future"]["roc_auc"] == pytest.approx(2 / 3)


def test_the_threshold_of_the_past_is_applied_to_the_next_window(tmp_path: Path) -> None:
    dumps = small_dumps()
    # What is fake scores lower than ½ in every window, yet above what is real.
    for arrays in dumps.values():
        arrays["fused_scores"] = arrays["fused_scores"] / 4
    got = report(write(tmp_path, dumps))
    results = {(row["window"], row["mechanism"]): row["result"] for row in got["rows"]}
    following = results[0, "immediate_future"]
    assert (following["balanced_accuracy"], following["past_balanced_accuracy"]) == (0.5, 1)
    assert following["past_threshold"] == results[0, "growing"]["best_threshold"]
    assert got["average_over_time"]["headline"]["immediate_future"]["past_balanced_accuracy"] == 1
    assert "past_balanced_accuracy" not in got["average_over_time"]["headline"]["growing"]


def test_a_real_without_a_partner_is_in_no_period(tmp_path: Path) -> None:
    dumps = small_dumps()
    for arrays in dumps.values():
        arrays["pairing"][7] = -1
    rows = report(write(tmp_path, dumps))["rows"]
    assert [row["result"]["n_real_images"] for row in rows if row["mechanism"] == "all"] == [3, 3, 3]


def test_one_file_is_one_window(tmp_path: Path) -> None:
    file = write(tmp_path, small_dumps()) / "window_1" / "predictions_validate_all.npz"
    result = run(file, "--json")
    assert "no predictions for window 0, 2" in result.stderr
    got = json.loads(result.stdout)
    assert {row["window"] for row in got["rows"]} == {1}
    assert got["average_over_time"]["headline"]["immediate_future"]["windows"] == [0, 1]
    assert got["average_over_time"]["headline"]["immediate_future"]["roc_auc"] is None

    elsewhere = file.rename(tmp_path / "mine.npz")
    assert "which window is this?" in run(elsewhere).stderr
    assert {row["window"] for row in report(elsewhere, "--window", 2)["rows"]} == {2}
    assert run(elsewhere, "--window", 3).exit_code == 1
    assert "names its windows" in run(tmp_path, "--window", 0).stderr


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "Invalid value for 'PATH'" in result.stderr


def test_the_installed_command_runs_and_loads_nothing_it_does_not_need(tmp_path: Path) -> None:
    write(tmp_path, small_dumps())
    command = Path(sys.executable).with_name("tidemark")
    done = subprocess.run([command, "score", tmp_path, "--json"], capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["rows"]) == 15

    loaded = "import sys, tidemark.cli; print(*sys.modules)"
    bare = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "scipy", "django"} & set(bare)
    loaded = "import sys, tidemark.score, tidemark.dump; print(*sys.modules)"
    full = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "numpy" in full
    assert not {"scipy", "sklearn", "django", "torch"} & set(full), "scipy.stats alone would cost a second"
