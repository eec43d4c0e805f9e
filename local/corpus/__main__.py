"""``python -m local.corpus DEST``: make the simulated corpus, with a progress bar."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.corpus.generators import FAMILIES
from local.corpus.writer import make_corpus


def main(
    destination: Annotated[Path, typer.Argument(help="Folder to make; its parent must exist.")],
    families: Annotated[int, typer.Option(help="How many generator families, oldest first.")] = len(FAMILIES),
    train: Annotated[int, typer.Option(help="Training images of each generator.")] = 60,
    evaluation: Annotated[int, typer.Option("--eval", help="Evaluation images of each generator.")] = 40,
    side: Annotated[int, typer.Option(help="Side of an image in pixels, a multiple of 16.")] = 96,
    seed: Annotated[int, typer.Option(help="Another seed gives other images.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes; the images don't depend on it.")] = os.cpu_count()
    or 1,
) -> None:
    """Make the simulated corpus. A finished one is left as it is."""
    columns = TextColumn("simulated corpus"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as bar:
        task = bar.add_task("simulated corpus", total=None)
        try:
            make_corpus(
                destination,
                families=families,
                images_per_split=(train, evaluation),
                side=side,
                seed=seed,
                workers=workers,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        except (ValueError, OSError) as error:
            raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    typer.run(main)
