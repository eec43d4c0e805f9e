"""``manage.py import_aigenbench``: the official Ai-GenBench release with its windows and pairing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evaluator.data.aigenbench import NAME, SLUG, SOURCE, read_release, release_origins
from evaluator.management.console import import_all, report
from leaderboard.models import Benchmark, Corpus, Degradation
from leaderboard.services.benchmarks import benchmark_create
from leaderboard.services.corpora import corpus_create
from leaderboard.services.editions import edition_open
from protocols.errors import DataError, TidemarkError

# The benchmark is the release as it is, whatever its files tell.
REASON = f"The images are those of the official release of {NAME}."


class Command(BaseCommand):
    help = (
        "Import the official Ai-GenBench release (a DatasetDict on disk with train and validation), "
        f"publish it, and open the benchmark {SLUG} with the official windows and pairing. "
        "What is there already is not imported again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument(
            "--degradation",
            choices=Degradation.values,
            default=Degradation.V2.value,
            help="of a new benchmark: v2 as the paper describes, v1-compat as the official code does",
        )
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            release = read_release(options["folder"])
            corpus = Corpus.objects.filter(slug=SLUG).first() or corpus_create(
                slug=SLUG, name=NAME, description=f"The official release of {SOURCE}."
            )
            origins = release_origins(release, corpus)
        except DataError as error:
            raise CommandError(f"{error.detail} {error.entry.fix}") from error
        done = import_all(origins, publish=True, reason=REASON)
        report(self, corpus, done, options["report"])
        try:
            edition = edition_open(_benchmark(corpus, options["degradation"]))
        except TidemarkError as error:
            raise CommandError(f"{error.detail} {error.entry.fix}") from error
        self.stdout.write(f"{edition}: {edition.windows.count()} windows.")


def _benchmark(corpus: Corpus, degradation: str) -> Benchmark:
    return Benchmark.objects.filter(slug=SLUG).first() or benchmark_create(
        slug=SLUG, name=NAME, corpus=corpus, degradation=degradation
    )
