"""``manage.py make_load``: a large benchmark of invented detectors, to measure the server with."""

from __future__ import annotations

import os
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.load.make import LoadError, load_delete, load_make


class Command(BaseCommand):
    help = "Make a benchmark of invented detectors with all their scores, to measure the server with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--slug", default="load", help="Of the benchmark and its corpus (load).")
        parser.add_argument("--detectors", type=int, default=10_000, help="How many there are (10000).")
        parser.add_argument(
            "--seed", type=int, default=1337, help="All that is drawn follows from it (1337)."
        )
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="That compute scores.")
        parser.add_argument("--delete", action="store_true", help="Delete what it made of this slug instead.")
        parser.add_argument(
            "--yes", action="store_true", help="Do it although this is no development server."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or options["yes"]):
            raise CommandError(
                "It is for measuring: what it makes is public, and fills the database with invented "
                "detectors. Say --yes if that is what you want on this server."
            )
        if options["detectors"] < 1:
            raise CommandError("There must be at least one detector.")
        began = time.monotonic()
        try:
            if options["delete"]:
                load_delete(options["slug"], say=self._say)
            else:
                load_make(
                    options["slug"],
                    options["detectors"],
                    options["seed"],
                    processes=options["processes"],
                    say=self._say,
                )
        except LoadError as error:
            raise CommandError(str(error)) from error
        self._say(f"done in {time.monotonic() - began:.0f} s")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
