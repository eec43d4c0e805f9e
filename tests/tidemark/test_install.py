"""``pip install tidemark[client]`` in an environment of its own: small, and every command is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.tidemark.servers import make_clone
from tidemark.cli import app

pytestmark = pytest.mark.processes

# What a client must not pull in: the server, an engine's client, a framework for training.
HEAVY = {
    "django",
    "djangorestframework",
    "celery",
    "docker",
    "torch",
    "lightning",
    "datasets",
    "pyarrow",
    "psycopg",
}


def call(*command: object, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    """Every command below ``group``, as it is typed."""
    for name, command in getattr(group, "commands", {}).items():
        yield (*above, name)
        yield from commands(command, *above, name)


def test_the_client_installs_alone_and_knows_every_command(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # The environment builds it with what it has; the new one gets what it needs by pip.
    # In a copy: what an earlier build left in the checkout would be packed too.
    clone = make_clone(tmp_path / "clone")
    call(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, clone, cwd=tmp_path)
    (wheel,) = tmp_path.glob("tidemark-*.whl")
    call(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    call(python, "-m", "pip", "--quiet", "install", "--no-compile", f"{wheel}[client]", cwd=tmp_path)

    listed = json.loads(call(python, "-m", "pip", "list", "--format=json", cwd=tmp_path))
    installed = {row["name"].lower() for row in listed}
    assert {"tidemark", "httpx", "typer", "rich"} <= installed
    assert installed & HEAVY == set()

    asked = list(commands(typer.main.get_command(app)))
    assert ("submit",) in asked
    assert ("batch", "upload") in asked
    # One process asks for all of them: to start one takes longer than to answer.
    script = (
        "import json, sys\n"
        "from tidemark.cli import app\n"
        "from typer.testing import CliRunner\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    told = CliRunner().invoke(app, [*command, '--help'])\n"
        "    assert told.exit_code == 0, (command, told.output)\n"
        "from tidemark import batches, client, images, pack, progress, results, show, submit, upload, watch\n"
    )
    call(python, "-W", "error", "-c", script, json.dumps(asked), cwd=tmp_path)
    # And the command itself says what a newcomer needs.
    refused = subprocess.run(
        [tmp_path / "env" / "bin" / "tidemark", "status"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "tidemark login" in refused.stderr
    (tmp_path / "a.tar").write_bytes(b"no archive")
    inspect = "from tidemark.submit import inspect; from pathlib import Path; inspect(Path('a.tar'))"
    broken = subprocess.run(
        [python, "-c", inspect], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "archive_unreadable" in broken.stderr or "would be turned down" in broken.stderr
