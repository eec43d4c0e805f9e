"""The official release of Ai-GenBench: a ``DatasetDict`` on disk with the splits train and validation.

Source: Pellegrini et al., "AI-GenBench: A New Ongoing Benchmark for AI-Generated Image Detection",
arXiv 2504.20865, and the generators' release dates as the official code lists them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import datasets
from django.db import connection, transaction
from django.utils.text import slugify

from evaluator.data.decode import decode
from evaluator.data.imports import Origin
from evaluator.data.jobs import read_content
from evaluator.data.sources import SourceFile, SplitName
from leaderboard.models import Corpus, Generator, Image
from leaderboard.services.generators import generator_create
from protocols.errors import DataError

SLUG = "ai-genbench"
NAME = "Ai-GenBench"
SOURCE = "Ai-GenBench"
COLUMNS = ("image", "label", "generator", "origin_dataset")
SPLITS: dict[SplitName, str] = {"train": "train", "eval": "validation"}

# Name in the release, day of release, family.
GENERATORS = (
    ("CycleGAN", "2017-03-30", "GAN"),
    ("Cascaded Refinement Networks", "2017-07-28", "CNN"),
    ("ProGAN", "2017-10-27", "GAN"),
    ("StarGAN", "2017-11-24", "GAN"),
    ("SN-PatchGAN", "2018-06-10", "GAN"),
    ("BigGAN", "2018-09-28", "GAN"),
    ("IMLE", "2018-11-29", "IMLE"),
    ("StyleGAN1", "2018-12-12", "GAN"),
    ("GauGAN", "2019-03-18", "GAN"),
    ("StyleGAN2", "2019-12-03", "GAN"),
    ("DDPM", "2020-06-19", "diffusion"),
    ("CIPS", "2020-11-27", "GAN"),
    ("VQGAN", "2020-12-17", "autoregressive"),
    ("GANformer", "2021-03-01", "GAN"),
    ("ADM", "2021-05-11", "diffusion"),
    ("StyleGAN3", "2021-06-23", "GAN"),
    ("LaMa", "2021-09-15", "GAN"),
    ("FaceSynthetics", "2021-09-30", "rendering"),
    ("ProjectedGAN", "2021-11-01", "GAN"),
    ("Palette", "2021-11-10", "diffusion"),
    ("VQ-Diffusion", "2021-11-29", "diffusion"),
    ("Denoising Diffusion GAN", "2021-12-16", "diffusion"),
    ("Glide", "2021-12-20", "diffusion"),
    ("Latent Diffusion", "2021-12-21", "diffusion"),
    ("Midjourney", "2022-02-01", "diffusion"),
    ("MAT", "2022-03-29", "GAN"),
    ("Diffusion GAN (ProjectedGAN)", "2022-06-05", "GAN"),
    ("Diffusion GAN (StyleGAN2)", "2022-06-06", "GAN"),
    ("Stable Diffusion 1.4", "2022-08-22", "diffusion"),
    ("Stable Diffusion 1.5", "2022-10-20", "diffusion"),
    ("Stable Diffusion 2.1", "2022-12-07", "diffusion"),
    ("DeepFloyd IF", "2023-04-26", "diffusion"),
    ("Stable Diffusion XL 1.0", "2023-07-26", "diffusion"),
    ("DALL-E 3", "2023-09-20", "diffusion"),
    ("FLUX 1 Dev", "2024-08-01", "diffusion"),
    ("FLUX 1 Schnell", "2024-08-02", "diffusion"),
)


@dataclass(frozen=True)
class Release:
    """The two splits by our names, and the rows of each origin by generator name or real source.

    A row is its position in the two splits laid end to end: the official draws go by the order of
    rows within a split, and images keep that order as the order of their primary keys.
    """

    splits: dict[SplitName, Any]
    fakes: dict[str, list[int]]
    reals: dict[str, list[int]]

    @property
    def n_rows(self) -> int:
        return sum(len(split) for split in self.splits.values())

    def file(self, row: int, first_pk: int) -> SourceFile:
        """The image of a row, to be stored under the primary key ``first_pk + row``."""
        n_train = len(self.splits["train"])
        split: SplitName = "train" if row < n_train else "eval"
        position = row if row < n_train else row - n_train
        image = self.splits[split][position]["image"]
        content = Path(image["path"]) if image["bytes"] is None else bytes(image["bytes"])
        return SourceFile(f"{SPLITS[split]}[{position}]", content, split, first_pk + row)


@dataclass(frozen=True)
class _Files:
    """The images of some rows, read one by one."""

    release: Release
    rows: list[int]
    first_pk: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[SourceFile]:
        return (self.release.file(row, self.first_pk) for row in self.rows)


def read_release(folder: Path) -> Release:
    """Open the release and sort its rows by origin; images stay on disk.

    Raises ``DataError``: ``corpus_layout`` for anything else, ``corpus_row`` for a generator that
    the table above does not have.
    """
    try:
        loaded = datasets.load_from_disk(str(folder))
    except (FileNotFoundError, ValueError) as error:
        raise DataError("corpus_layout", f"{folder} is no dataset on disk: {error}") from error
    if not isinstance(loaded, datasets.DatasetDict) or not set(SPLITS.values()) <= set(loaded):
        raise DataError("corpus_layout", f"{folder} is no DatasetDict with {' and '.join(SPLITS.values())}.")
    splits: dict[SplitName, Any] = {}
    fakes: dict[str, list[int]] = defaultdict(list)
    reals: dict[str, list[int]] = defaultdict(list)
    known = {name for name, _, _ in GENERATORS}
    row = 0
    for ours, theirs in SPLITS.items():
        table = loaded[theirs]
        if missing := set(COLUMNS) - set(table.column_names):
            raise DataError("corpus_layout", f"The split {theirs} lacks {', '.join(sorted(missing))}.")
        splits[ours] = table.cast_column("image", datasets.Image(decode=False))
        facts = zip(*(table[column][:] for column in COLUMNS[1:]), strict=True)
        for number, (label, generator, origin) in enumerate(facts):
            if bool(label) != bool(generator) or (generator and generator not in known):
                raise DataError(
                    "corpus_row", f"{theirs}[{number}] has the label {label} and the generator {generator!r}."
                )
            (fakes[generator] if generator else reals[_slug(origin or "real")]).append(row)
            row += 1
    return Release(splits, dict(fakes), dict(reals))


def release_origins(release: Release, corpus: Corpus) -> list[Origin]:
    """What is to be imported: the real sources, then the generators by date, which are created.

    An import that goes on uses the primary keys that the first one reserved.
    """
    generators = []
    for name, day, family in GENERATORS:
        if name in release.fakes:
            known = corpus.generators.filter(slug=_slug(name)).first()
            generators.append(
                known
                or generator_create(
                    corpus=corpus,
                    slug=_slug(name),
                    name=name,
                    family=family,
                    release_date=date.fromisoformat(day),
                    source=SOURCE,
                )
            )
    rows: list[tuple[Generator | None, str, list[int]]] = [
        (None, source, release.reals[source]) for source in sorted(release.reals)
    ]
    rows += [(generator, "", release.fakes[generator.name]) for generator in generators]
    first_pk = _first_pk(release, corpus)
    return [
        Origin(corpus, generator, source, lambda own=own: _Files(release, own, first_pk))  # type: ignore[misc]
        for generator, source, own in rows
    ]


def _first_pk(release: Release, corpus: Corpus) -> int:
    """The primary key of row 0: from an image that is there already, or else from a new reservation."""
    image = Image.objects.filter(corpus=corpus).select_related("batch__generator").order_by("id").first()
    if image is None:
        return _reserve(release.n_rows)
    batch = image.batch
    rows = release.fakes[batch.generator.name] if batch.generator else release.reals[batch.real_source]
    for row in rows:
        file = release.file(row, 0)
        try:
            decoded = decode(read_content(file.content))
        except DataError:
            # This row was rejected, and the image comes from a later one.
            continue
        if (file.split, decoded.content_hash) == (image.split, image.content_hash):
            return image.pk - row
    raise DataError("corpus_layout", f"The corpus {corpus.slug} was not imported from this release.")


def _reserve(n: int) -> int:
    """Take ``n`` consecutive primary keys of images; returns the first."""
    table = Image._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        # Nobody may draw a key between the two calls of the sequence.
        cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(
            "SELECT setval(name, nextval(name) + %s) - %s FROM pg_get_serial_sequence(%s, 'id') AS name",
            [n, n, table],
        )
        return int(cursor.fetchone()[0])


def _slug(name: str) -> str:
    return slugify(name.replace(".", "-"))
