"""What a maintainer does through the API: bring a corpus in and open a benchmark over it."""

from __future__ import annotations

import csv
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.terminal import POLL_S, bars, say
from tidemark.client import Api, ApiError, why

# What readers see on the page of a generator whose shortcut audit is beyond its bound.
REASON = "Published as it is, to try the benchmark out: mind the shortcut audit."


@dataclass(frozen=True)
class CorpusFolder:
    """A folder with ``generators.csv``, ``generators/<slug>/`` and ``reals/<source>/``, and its names."""

    path: Path
    slug: str
    name: str
    description: str
    simulated: bool

    def generators(self) -> list[dict[str, str]]:
        """The rows of ``generators.csv`` in the order of release."""
        with (self.path / "generators.csv").open(newline="", encoding="utf-8") as file:
            return sorted(csv.DictReader(file), key=lambda row: (row["release_date"], row["slug"]))

    def reals(self) -> list[str]:
        return sorted(folder.name for folder in (self.path / "reals").iterdir() if folder.is_dir())


def publish_corpus(api: Api, folder: CorpusFolder, *, n_held: int = 0) -> list[dict[str, str]]:
    """Register the corpus and its generators, upload every batch, wait for the checks, publish in order.

    The newest ``n_held`` generators are left for later; their rows are returned.
    """
    if api.find(f"corpora/{folder.slug}/") is None:
        about = {"name": folder.name, "description": folder.description, "simulated": folder.simulated}
        api.post("corpora/", slug=folder.slug, **about)
    rows = folder.generators()
    known = {row["slug"] for row in api.list("generators/", corpus=folder.slug)}
    for row in rows:
        if row["slug"] not in known:
            api.post("generators/", corpus=folder.slug, **row)

    # Reals first: a generator is paired with reals that are there.
    batches = [({"real_source": source}, folder.path / "reals" / source) for source in folder.reals()]
    published, held = rows[: len(rows) - n_held], rows[len(rows) - n_held :]
    batches += [({"generator": row["slug"]}, folder.path / "generators" / row["slug"]) for row in published]
    with bars() as progress:
        bar = progress.add_task("Uploading images", total=len(batches), activity="")
        ids = []
        for subject, images in batches:
            progress.update(bar, activity=images.name)
            ids.append(_batch(api, folder.slug, subject, images))
            progress.advance(bar)
        progress.update(bar, activity="")
        bar = progress.add_task("Checking images", total=len(ids), activity="")
        for batch_id in ids:
            _publish(api, batch_id, lambda activity: progress.update(bar, activity=activity))
            progress.advance(bar)
        progress.update(bar, activity="")
    return held


def publish_generator(api: Api, folder: CorpusFolder, slug: str) -> None:
    """Upload, check and publish the images of one generator."""
    with bars() as progress:
        bar = progress.add_task(f"Uploading {slug}", total=2, activity="")
        batch_id = _batch(api, folder.slug, {"generator": slug}, folder.path / "generators" / slug)
        progress.update(bar, completed=1, description=f"Checking {slug}")
        _publish(api, batch_id, lambda activity: progress.update(bar, activity=activity))
        progress.update(bar, completed=2, activity="published")


def _batch(api: Api, corpus: str, subject: dict[str, str], images: Path) -> str:
    """The id of the batch of these images, with its archive handed in."""
    usable = (row for row in api.list("batches/", corpus=corpus, **subject) if row["state"] != "rejected")
    batch = next(usable, None) or api.post("batches/", corpus=corpus, **subject)
    if batch["state"] == "uploading":
        with tempfile.TemporaryDirectory(prefix="tidemark-batch-") as scratch:
            archive = Path(scratch) / f"{images.name}.zip"
            _zip(images, archive)
            upload = api.upload(archive, lambda _sent, _size: None)
        api.post(f"batches/{batch['id']}/submit/", upload=upload)
    return str(batch["id"])


def _zip(folder: Path, archive: Path) -> None:
    # Stored, not deflated: images are compressed already.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                target.write(file, file.relative_to(folder))


def _publish(api: Api, batch_id: str, show: Callable[[str], None]) -> None:
    while (batch := api.get(f"batches/{batch_id}/"))["state"] == "checking":
        show(f"{batch['generator'] or batch['real_source']} {batch['activity']}".strip())
        time.sleep(POLL_S)
    if batch["state"] == "rejected":
        raise ApiError(
            f"The batch of {batch['generator'] or batch['real_source']} was rejected: {why(batch)}"
        )
    if batch["state"] == "sealed":
        preview = api.get(f"batches/{batch_id}/preview/")
        api.post(f"batches/{batch_id}/publish/", reason=REASON if preview["needs_reason"] else "")


def open_benchmark(api: Api, folder: CorpusFolder) -> None:
    """Make the benchmark over the corpus and open its newest edition."""
    if api.find(f"benchmarks/{folder.slug}/") is None:
        about = {"name": folder.name, "description": folder.description}
        api.post("benchmarks/", slug=folder.slug, corpus=folder.slug, **about)
    edition = api.post(f"benchmarks/{folder.slug}/editions/")
    for window in edition["windows"]:
        names = ", ".join(generator["name"] for generator in window["generators"])
        say(f"Window {window['index']}: {names} ({window['n_images']} training images)")
