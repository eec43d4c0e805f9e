"""``manage.py import_corpus``: bring a folder of images into a corpus."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evaluator.data.folder import CorpusFolder, GeneratorRow, read_corpus_folder
from evaluator.data.imports import Origin
from evaluator.management.console import import_all, report
from leaderboard.models import Corpus, Generator
from leaderboard.services.corpora import corpus_create
from leaderboard.services.generators import generator_create
from protocols.errors import DataError


class Command(BaseCommand):
    help = (
        "Import a corpus: generators.csv (slug,name,family,release_date,source,licence), generators/<slug>/ "
        "and reals/<source>/ with images, optionally below train/ and eval/, optionally corpus.json "
        "(slug, name, description, simulated). What is there already is not imported again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument(
            "--corpus", default="", metavar="SLUG", help="the corpus, if not as the folder says"
        )
        parser.add_argument("--publish", action="store_true", help="publish what is imported")
        parser.add_argument(
            "--reason",
            default="",
            metavar="TEXT",
            help="why to publish batches whose shortcut audit is beyond its bound; readers see it",
        )
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            folder = read_corpus_folder(options["folder"], options["corpus"])
            corpus = _corpus(folder)
            origins = _origins(folder, corpus)
        except DataError as error:
            raise CommandError(f"{error.detail} {error.entry.fix}") from error
        done = import_all(origins, publish=options["publish"], reason=options["reason"])
        report(self, corpus, done, options["report"])


def _corpus(folder: CorpusFolder) -> Corpus:
    return Corpus.objects.filter(slug=folder.slug).first() or corpus_create(
        slug=folder.slug, name=folder.name, description=folder.description, simulated=folder.simulated
    )


def _origins(folder: CorpusFolder, corpus: Corpus) -> list[Origin]:
    """Real sources first: a generator is published when there are reals to pair it with."""
    reals = [Origin(corpus, None, source, partial(folder.real_files, source)) for source in folder.reals]
    fakes = [
        Origin(corpus, _generator(row, corpus), "", partial(folder.generator_files, row.slug))
        for row in folder.generators
    ]
    return reals + fakes


def _generator(row: GeneratorRow, corpus: Corpus) -> Generator:
    known = corpus.generators.filter(slug=row.slug).first()
    if known is None:
        return generator_create(
            corpus=corpus,
            slug=row.slug,
            name=row.name,
            family=row.family,
            release_date=row.release_date,
            source=row.source,
            licence=row.licence,
        )
    if known.release_date != row.release_date:
        raise DataError(
            "corpus_row",
            f"{row.slug} was released on {row.release_date} by generators.csv, "
            f"on {known.release_date} by the corpus {corpus.slug}.",
        )
    return known
