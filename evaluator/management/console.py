"""What the import commands share: progress on the terminal, and the report at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from evaluator.data.imports import Imported, Origin, import_origin, summary
from leaderboard.models import Corpus


def import_all(origins: Sequence[Origin], *, publish: bool, reason: str) -> list[Imported]:
    """Import one origin after the other, with progress on standard error.

    ``reason``: why batches whose shortcut audit is beyond its bound are published all the same.

    Raises ``CommandError`` when the user interrupts; what is complete stays.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    done = []
    try:
        with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bars:
            batches = bars.add_task("batches", total=len(origins))
            for origin in origins:
                images = bars.add_task(origin.name, total=100)
                show = partial(_show, bars, images)
                done.append(import_origin(origin, publish=publish, reason=reason, progress=show))
                bars.remove_task(images)
                bars.advance(batches)
    except KeyboardInterrupt:
        raise CommandError("Stopped. The same command does what is missing.", returncode=130) from None
    return done


def _show(bars: Progress, task: TaskID, share: float, activity: str) -> None:
    bars.update(task, completed=round(100 * share), description=activity)


def report(command: BaseCommand, corpus: Corpus, done: Sequence[Imported], path: Path | None) -> None:
    """Print the summary, write it as JSON to ``path`` if given, and fail if a batch failed."""
    for line in summary(done, corpus):
        command.stdout.write(line)
    if path is not None:
        value = {"corpus": corpus.slug, "batches": [one.to_json() for one in done]}
        path.write_text(json.dumps(value, indent=2) + "\n")
    failed = [one for one in done if one.error]
    if failed:
        raise CommandError("; ".join(f"{one.origin}: {one.error}" for one in failed))
