"""The commands by which docs/maintain.md brings a batch in, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from leaderboard.models import Batch
from leaderboard.services.accounts import token_create
from leaderboard.services.corpora import batch_seal
from protocols.states import BatchState
from tests.leaderboard.factories import CorpusFactory, UserFactory
from tidemark.cli import app
from tidemark.exits import Exit

PAGE = (settings.ROOT / "docs" / "maintain.md").read_text(encoding="utf-8")
SITE = "http://127.0.0.1:8000"


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_commands_with_curl_bring_a_batch_in_and_publish_it(
    live_server: LiveServer, tmp_path: Path
) -> None:
    bring_in, publish = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    with zipfile.ZipFile(tmp_path / "flux-3.zip", "w") as archive:
        archive.writestr("train/a.png", os.urandom(100_000))
    CorpusFactory(slug="faces")
    token = token_create(UserFactory(maintainer=True), ttl=timedelta(hours=1)).token

    def run(commands: str, **env: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands.replace(SITE, live_server.url)],
            cwd=tmp_path,
            env={**os.environ, "TOKEN": token, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    batch_id = run(bring_in).split(" The batch is ")[-1].strip()
    batch = Batch.objects.select_related("generator").get(pk=batch_id)
    assert batch.state == BatchState.CHECKING
    assert batch.generator is not None
    assert (batch.generator.slug, batch.generator.name) == ("flux-3", "Flux 3")
    assert batch.upload is not None
    assert batch.upload.path.read_bytes() == (tmp_path / "flux-3.zip").read_bytes()

    batch_seal(batch)
    # The second part goes on in the same shell.
    settings_of_first = bring_in.split("curl", 1)[0]
    told = run(settings_of_first + publish, B=batch_id)
    batch.refresh_from_db()
    assert batch.state == BatchState.PUBLISHED, told


def test_every_command_and_exit_code_is_documented() -> None:
    command = typer.main.get_command(app)
    for group in ("batch", "generator"):
        for name in command.commands[group].commands:  # type: ignore[attr-defined]
            assert f"`tidemark {group} {name}" in PAGE, name
    codes = {Exit.DONE, Exit.REFUSED, Exit.USAGE, Exit.REJECTED, Exit.NOT_PUBLISHED}
    assert {int(code) for code in re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE)} == codes


def test_every_option_that_the_page_uses_exists() -> None:
    group = typer.main.get_command(app).commands["batch"]  # type: ignore[attr-defined]
    known = {option for command in group.commands.values() for p in command.params for option in p.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known
