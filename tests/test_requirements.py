"""What is locked is what pyproject.toml asks for."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def test_the_lock_pins_everything_and_nothing_outside_the_bounds() -> None:
    lines = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]
    assert all(str(line.specifier).startswith("==") for line in lines)
    locked = {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in lines}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in [Requirement(text) for group in asked for text in group]:
        if requirement.name != "tidemark":
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement
