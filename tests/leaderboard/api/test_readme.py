"""The commands by which the README submits a detector, run as they stand, with curl."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from leaderboard.models import Submission
from leaderboard.services.accounts import token_create
from protocols.states import SubmissionState
from tests.leaderboard.factories import BenchmarkFactory, UserFactory

README = Path(__file__).parents[3] / "README.md"
SITE = "http://127.0.0.1:8000"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def test_the_commands_of_the_readme_submit_a_detector(live_server: LiveServer, tmp_path: Path) -> None:
    section = README.read_text(encoding="utf-8").split("## Submit a detector", 1)[1].split("\n## ", 1)[0]
    (script,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    save, commands = script.split("\n", 1)
    assert save == "docker save my-detector -o image.tar"
    content = os.urandom(3_000_001)
    (tmp_path / "image.tar").write_bytes(content)
    BenchmarkFactory(slug="simulated")
    token = token_create(UserFactory(), ttl=timedelta(hours=1)).token

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace(SITE, live_server.url)],
        cwd=tmp_path,
        env={**os.environ, "TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    submission = Submission.objects.get(name="my-detector")
    assert submission.state == SubmissionState.CHECKING, done.stdout
    assert submission.upload is not None
    assert submission.upload.path.read_bytes() == content
