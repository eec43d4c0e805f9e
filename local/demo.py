"""``make demo``: the whole benchmark on this machine, through the public REST API.

It brings the stack up, builds the reference detectors, makes the simulated corpus (or takes the
folder that ``CORPUS`` names), and then does what maintainers and submitters do. In the end the
newest generators (``ARRIVALS``, 1) arrive, and every detector meets them before learning from them.
Each step first asks whether it is done already, so a second run goes on where the first one stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from local.arrivals import arrive, print_first_contacts
from local.corpus.writer import make_corpus
from local.images import ensure_detector, save
from local.maintainer import CorpusFolder, open_benchmark, publish_corpus
from local.serve import port_and_workers
from local.stack import ROOT, Stack, home_folder, stack
from local.submitter import current_board, print_ranking, submit, watch
from local.terminal import bars, fail, say, until_interrupted
from tidemark.client import Api

DETECTORS = ("constant", "durall-spectrum", "cifake-cnn")
# On real images there is time for a detector of today's size.
DETECTORS_ON_REAL_IMAGES = (*DETECTORS, "npr")
ABOUT_SIMULATED = (
    "Simulated: images made by programs that imitate one documented trace of a generator each. "
    "Scores on them say nothing about real generators."
)
INSTALLED = ROOT / ".venv" / ".set-up"


class DemoError(RuntimeError):
    """The demo can't go on; the message says why."""


@dataclass
class Times:
    """Wall time of each part in seconds, in the order in which they ran."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def measure(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[part] = time.monotonic() - began


def main() -> int:
    times = Times()
    if INSTALLED.exists() and (seconds := INSTALLED.read_text().strip()):
        times.seconds["install (when .venv was made)"] = float(seconds)
    port, workers = port_and_workers()
    with until_interrupted():
        try:
            folder = corpus_folder()
            with contextlib.ExitStack() as parts:
                with times.measure("start"):
                    site = parts.enter_context(stack(home_folder(), port=port, workers=workers, say=say))
                run(site, folder, times)
                say(f"\nThe site is at {site.url} (API: {site.url}/api/docs/). Ctrl-C stops everything.")
                signal.pause()
        except (RuntimeError, httpx.TransportError) as error:
            return fail(error)
    return 0


def play(api: Api, folder: CorpusFolder, archives: Mapping[str, Path], *, n_held: int) -> None:
    """What people do: publish a corpus, enter detectors, rank them, and let newcomers arrive."""
    held = publish_corpus(api, folder, n_held=n_held)
    open_benchmark(api, folder)
    submissions = [submit(api, folder.slug, name, path) for name, path in archives.items()]
    watch(api, submissions)
    print_ranking(api, folder.slug)
    for row in held:
        arrive(api, folder, row)
    print_first_contacts(api, folder.slug, [row["slug"] for row in held])
    if current_board(api, folder.slug)["coming"]:
        say("The open window was full: every detector is being trained on it.")
        watch(api, submissions)
        print_ranking(api, folder.slug)


def n_arrivals() -> int:
    """How many generators, the newest, arrive when the benchmark has begun: ``ARRIVALS``, or 1."""
    text = os.environ.get("ARRIVALS") or "1"
    if not text.isdecimal():
        raise DemoError(f"ARRIVALS={text} is not a number of generators.")
    return int(text)


def corpus_folder() -> CorpusFolder:
    """The folder that ``CORPUS`` names, or where the simulated corpus is to be made."""
    given = os.environ.get("CORPUS")
    return given_folder(Path(given)) if given else simulated_folder(home_folder() / "corpora" / "simulated")


def run(site: Stack, folder: CorpusFolder, times: Times) -> None:
    """Everything between a running stack and the printed ranking."""
    with times.measure("build"):
        names = DETECTORS if folder.simulated else DETECTORS_ON_REAL_IMAGES
        archives = {name: archive(site, name) for name in names}
    with times.measure("corpus"):
        if folder.simulated:
            _simulate(folder)
    with Api(site.url, token(site)) as api, times.measure("run"):
        play(api, folder, archives, n_held=n_arrivals())
    say("Wall time: " + ", ".join(f"{part} {seconds:.0f} s" for part, seconds in times.seconds.items()))


def archive(site: Stack, detector: str) -> Path:
    """Build a reference detector and save it as the archive that a submitter would upload."""
    file = site.home / "images" / f"{detector}.tar"
    save(site.engine, ensure_detector(site.engine, detector, say), file)
    return file


def given_folder(path: Path) -> CorpusFolder:
    if not (path / "generators.csv").is_file():
        raise DemoError(
            f"{path} holds no generators.csv: docs/operate.md shows the layout of a corpus folder."
        )
    path = path.resolve()
    slug = "".join(c if c.isalnum() else "-" for c in path.name.lower())
    return CorpusFolder(path, slug, path.name, f"Images from the folder {path.name}.", simulated=False)


def simulated_folder(path: Path) -> CorpusFolder:
    return CorpusFolder(path, path.name, "Simulated generators", ABOUT_SIMULATED, simulated=True)


def _simulate(folder: CorpusFolder) -> None:
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    with bars() as progress:
        bar = progress.add_task("Simulating images", activity="")
        make_corpus(
            folder.path,
            workers=os.cpu_count() or 1,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def token(site: Stack) -> str:
    """A maintainer's token, the one thing that has to come from the operator and not from the API."""
    command = [sys.executable, str(ROOT / "manage.py"), "create_token", "demo", "--maintainer", "--days=1"]
    done = subprocess.run(command, env=site.env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"manage.py create_token failed:\n{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
