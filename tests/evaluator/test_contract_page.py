"""docs/contract.md says what protocols/contract.py, the sandbox and the error catalogue do."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from protocols import contract
from protocols.contract import Budget, Phase, StepRequest
from protocols.errors import CATALOGUE, Owner
from sandbox.archive import PHASES
from sandbox.limits import OPEN_FILES
from sandbox.logs import PACE_S, TAIL_BYTES
from sandbox.output import LINE_BYTES
from sandbox.runner import GRACE_S
from sandbox.tree import MAX_DEPTH

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()


def table(header: str) -> list[list[str]]:
    """The rows of the table with this header line, cell by cell."""
    _, _, rest = PAGE.partition(f"\n{header}\n|---")
    assert rest, f"there is no table {header}"
    lines = rest.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def first_names(header: str) -> list[str]:
    return [row[0].strip().strip("`") for row in table(header)]


def test_the_version() -> None:
    assert f"# The container contract, version {contract.VERSION}\n" in PAGE
    assert dict(table("| field | meaning |"))["`contract`"] == str(contract.VERSION)


@pytest.mark.parametrize("phases", PHASES)
def test_the_labels(phases: str) -> None:
    assert f"`{contract.LABEL_CONTRACT}={contract.VERSION}`" in PAGE
    assert f"`{contract.LABEL_PHASES}={phases}`" in PAGE


def test_the_paths() -> None:
    assert first_names("| path | train | predict |") == [
        contract.REQUEST_PATH,
        contract.TRAIN_PATH,
        contract.EVAL_PATH,
        contract.STATE_PATH,
        contract.OUTPUT_PATH,
    ]
    output = table("| path | train | predict |")[-1]
    assert contract.METRICS_NAME in output[1]
    assert contract.PREDICTIONS_NAME in output[2]
    assert set(re.findall(r"`(/bench/[a-z.]+)`", PAGE)) == set(first_names("| path | train | predict |"))


def test_the_columns() -> None:
    rows = table("| column | in | type | meaning |")
    shown = {
        phase: tuple(row[0].strip("`") for row in rows if phase in row[1].split(", "))
        for phase in ("train", "eval")
    }
    assert shown == {"train": contract.TRAIN_COLUMNS, "eval": contract.EVAL_COLUMNS}


def test_the_header_of_predictions() -> None:
    assert f"```\n{contract.PREDICTIONS_HEADER}\n" in PAGE


def test_the_fields_of_a_request() -> None:
    budget = Budget(1, 1, 1, 1, 1, 1, 1, 1, 1)
    request = json.loads(StepRequest(Phase.TRAIN, 0, 1, "b", 1, budget).to_json())
    assert sorted(first_names("| field | meaning |")) == sorted(request)
    assert {f"`{phase}`" for phase in Phase} <= set(
        re.findall(r"`\w+`", dict(table("| field | meaning |"))["`phase`"])
    )


def test_the_fields_of_a_budget() -> None:
    fields = [field.name for field in dataclasses.fields(Budget)]
    assert sorted(first_names("| field | bound | beyond it |")) == sorted(fields)


def test_the_numbers() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table("| field | bound | beyond it |")}
    assert f"at most {contract.MAX_STATE_FILES:,} files and folders" in rows["state_bytes"][0]
    assert f"at most {contract.MAX_OUTPUT_FILES} files and folders" in rows["output_bytes"][0]
    assert GRACE_S == 2
    assert "two seconds later SIGKILL" in rows["timeout_s"][1]
    assert f"at most {OPEN_FILES:,} open files" in PAGE
    assert f"at most {LINE_BYTES} bytes" in PAGE
    assert f"the last {TAIL_BYTES // 1024} KiB" in PAGE
    assert PACE_S == 10
    assert "looked at every ten seconds" in PAGE
    assert f"at most {MAX_DEPTH} deep" in PAGE


def test_every_code_of_a_participant_and_no_other() -> None:
    shown = [code for row in table("| code | when |") for code in re.findall(r"`(\w+)`", row[0])]
    assert len(shown) == len(set(shown))
    assert set(shown) == {code for code, entry in CATALOGUE.items() if entry.owner is Owner.PARTICIPANT}
    assert set(re.findall(r": `(\w+)` \|", PAGE)) <= set(shown)
