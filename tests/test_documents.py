"""What the documents list is what there is, and the other way round."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def first_cells(document: str, heading: str) -> str:
    """The first cells of the table below a heading, as one text."""
    section = (ROOT / document).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (ROOT / "leaderboard" / "settings.py").read_text()))
    for file in ("serve.py", "demo.py"):
        read |= set(re.findall(r'environ\.get\("(\w+)"\)', (ROOT / "local" / file).read_text()))
    assert set(re.findall(r"`(\w+)`", first_cells("docs/operate.md", "Settings"))) == read


def test_every_management_command_is_documented() -> None:
    commands = {file.stem for file in ROOT.glob("*/management/commands/[a-z]*.py")}
    documented = " ".join(document.read_text() for document in DOCUMENTS)
    assert {command for command in commands if not re.search(rf"[`\"]{command}\b", documented)} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_and_make_targets_exist(document: Path) -> None:
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
