"""``manage.py share_scores``: whether everybody may download the scores of single images."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.models import Benchmark
from leaderboard.services.benchmarks import benchmark_share_scores
from protocols.errors import RequestError


class Command(BaseCommand):
    help = (
        "Let everybody download the scores of single images of a benchmark, or nobody. Only for one whose "
        "evaluation images are retired: see docs/decisions/0013-scores-of-single-images.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("benchmark", help="Its slug.")
        parser.add_argument("answer", choices=["yes", "no"])
        parser.add_argument("--reason", required=True, help="For the log of what maintainers did.")

    def handle(self, *args: Any, **options: Any) -> None:
        benchmark = Benchmark.objects.filter(slug=options["benchmark"]).first()
        if benchmark is None:
            raise CommandError(f"There is no benchmark {options['benchmark']}.")
        shares = options["answer"] == "yes"
        try:
            changed = benchmark_share_scores(benchmark, shares, reason=options["reason"])
        except RequestError as error:
            raise CommandError(error.detail) from error
        is_so = "shared" if shares else "not shared"
        self.stdout.write(f"The scores of single images are {is_so}{' now' if changed else ', as before'}.")
