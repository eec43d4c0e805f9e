"""docs/submit.md, followed as it stands: from a LightningModule to a ranked entry, on a server of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from local.corpus.writer import make_corpus
from local.demo import simulated_folder, token
from local.images import ensure_detector
from local.maintainer import open_benchmark, publish_corpus
from local.processes import free_port
from local.stack import ROOT, Stack, stack
from tests.tidemark.servers import make_clone
from tidemark.cli import app
from tidemark.client import Api
from tidemark.exits import MEANING

PAGE = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PASSWORD = "a long enough phrase"
# Podman behind the name that the page uses. No registry is reachable here, and a machine without
# CAP_SYS_RESOURCE grants a build less than Podman asks for.
DOCKER = """#!/bin/sh
command=$1; shift
if [ "$command" = build ]; then
    set -- --network=none --pull=false --ulimit=nofile=4096:4096 --ulimit=nproc=4096:4096 "$@"
fi
exec podman --url="$DOCKER_HOST" "$command" "$@"
"""


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a page in order: what they are in, and their text."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def sign_up(site: str) -> None:
    """As a newcomer does, on the page."""
    with httpx.Client(base_url=site, follow_redirects=True) as browser:
        form = browser.get("/signup/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
        assert token is not None
        fields = {"username": "ada", "email": "ada@example.org", "password1": PASSWORD}
        done = browser.post("/signup/", data={**fields, "csrfmiddlewaretoken": token[1]})
        assert done.is_success
        # A refused form is shown again at its address.
        assert done.url.path != "/signup/", done.text


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A server with a benchmark of eight simulated generators: the second window is the next of the first."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path / "server"))
    folder = simulated_folder(tmp_path / "simulated")
    make_corpus(folder.path, families=8, images_per_split=(8, 6))
    with stack(tmp_path / "server", port=free_port(), say=lambda _: None) as running:
        with Api(running.url, token(running)) as api:
            publish_corpus(api, folder)
            open_benchmark(api, folder)
        yield running


def newcomer(tmp_path: Path, site: Stack) -> tuple[Path, dict[str, str]]:
    """A clone, and the environment of somebody with a home and a `docker` command."""
    clone, programs, home = make_clone(tmp_path / "clone"), tmp_path / "bin", tmp_path / "home"
    for folder in (programs, home, clone / "my-detector"):
        folder.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    return clone, {
        "HOME": str(home),
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "DOCKER_HOST": site.engine.docker_host,
        "TIDEMARK_SERVER": site.url,
        "PASSWORD": PASSWORD,
        "BASE": ensure_detector(site.engine, "cifake-cnn", lambda _: None),
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
    }


def follow(page: str, clone: Path, env: dict[str, str], log: Path) -> list[float]:
    """Write the page's files, run its commands one block after the other in one shell; seconds of each."""
    script, n = [], 0
    for language, text in blocks(page):
        if language == "sh":
            n += 1
            script.append(f'{text}\necho "=== {n} $(date +%s.%N)"')
        elif named := re.match(r"# (\S+)\n", text):
            (clone / named[1]).write_text(text)
    began = time.time()
    with log.open("w") as output:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(script)],
            cwd=clone,
            env=env,
            # Only the login reads it: the page's reader types it.
            input=f"{PASSWORD}\n",
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            # Without a terminal, or the password would be asked for there.
            start_new_session=True,
        )
    told = log.read_text()
    ends = [float(at) for at in re.findall(r"=== \d+ ([\d.]+)$", told, re.MULTILINE)]
    assert done.returncode == 0, f"block {len(ends) + 1} failed:\n{told[-3000:]}"
    assert len(ends) == n
    return [round(end - start, 1) for start, end in zip([began, *ends], ends, strict=False)]


@pytest.mark.processes
@pytest.mark.container
def test_whoever_follows_the_page_ends_up_on_the_board(site: Stack, tmp_path: Path) -> None:
    sign_up(site.url)
    clone, env = newcomer(tmp_path, site)
    seconds = follow(PAGE, clone, env, tmp_path / "page.log")
    print(f"docs/submit.md: {len(seconds)} blocks in {sum(seconds):.0f} s: {seconds}")

    with Api(site.url) as visitor:
        board = visitor.get("benchmarks/simulated/leaderboard/")["rows"]
        entries = {row["entry"]["name"]: row["entry"] for row in board if not row["entry"]["null_row"]}
        assert set(entries) == {"my-detector", "my-detector-by-curl"}
        for entry in entries.values():
            assert entry["rank"] is not None
            assert entry["next"]["value"] is not None
        by_curl = visitor.get(f"submissions/{entries['my-detector-by-curl']['detector']}/")
        # The same image: not trained again.
        assert all(step["reused"] for run in by_curl["runs"] for step in run["steps"])
    results = json.loads((clone / "results.json").read_text())
    assert results["entry"]["rank"] is not None
    assert results["generators"][-1]["before"]["auroc"]["value"] is not None

    installed = subprocess.run(
        [tmp_path / "home" / "tidemark" / "bin" / "pip", "list"], capture_output=True, text=True, check=True
    ).stdout.lower()
    assert not re.search(r"^(django|torch|celery)\b", installed, re.MULTILINE)


def test_the_readme_has_no_command_that_the_page_has_not() -> None:
    section = README.split("## Submit a detector", 1)[1].split("\n## ", 1)[0]
    ((_, script),) = blocks(section)
    run_by_the_page = "\n".join(text for language, text in blocks(PAGE) if language == "sh")
    for line in script.strip().splitlines():
        # The page's may say more.
        assert re.search(rf"^{re.escape(line)}( |$)", run_by_the_page, re.MULTILINE), line


def test_the_exit_codes_are_those_of_the_command() -> None:
    table = PAGE.split("## Exit codes")[1]
    told = dict(re.findall(r"^\| (\d+) \| (.*) \|$", table, re.MULTILINE))
    assert told == {str(int(code)): text for code, text in MEANING.items()}


def commands() -> dict[str, Any]:
    return typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [PAGE, README], ids=["submit.md", "README.md"])
def test_every_command_and_option_that_a_page_names_exists(page: str) -> None:
    named = re.findall(r"tidemark ([a-z]+)((?:[^`\n]|\\\n)*)", "\n".join(re.findall(r"`[^`]+`", page)))
    named += [found for language, text in blocks(page) if language == "sh" for found in calls(text)]
    assert named
    for command, arguments in named:
        assert command in commands(), command
        known = {option for each in parameters(command) for option in each.opts}
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", arguments)) <= known, command


def calls(script: str) -> list[tuple[str, str]]:
    return re.findall(r"^tidemark ([a-z]+)((?:[^\n]|\\\n)*)", script.replace("\\\n", " "), re.MULTILINE)


def parameters(command: str) -> list[Any]:
    found = commands()[command]
    # `tidemark batch upload …`: the options are those of the commands below it.
    below = getattr(found, "commands", {}).values()
    return [each for one in (found, *below) for each in one.params]


@pytest.mark.parametrize("command", ["try", "login", "logout", "submit", "watch", "logs", "results", "retry"])
def test_the_page_tells_of_every_command_that_a_submitter_needs(command: str) -> None:
    assert f"tidemark {command}" in PAGE
