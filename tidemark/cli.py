"""The command line. ``tidemark.detectors`` is for submitters, ``tidemark.maintain`` for maintainers, and
``tidemark score`` scores a dump of predictions without server or database.

Exit codes: ``tidemark.exits``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidemark import detectors, maintain
from tidemark.try_ import try_

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.registered_commands += detectors.app.registered_commands
app.command("try")(try_)
app.add_typer(maintain.batch, name="batch")
app.add_typer(maintain.generator, name="generator")


@app.callback()
def tidemark() -> None:
    """Tidemark: how well detectors of AI-generated images do on the next generator."""


@app.command()
def score(
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            metavar="PATH",
            help="A folder with window_<k>/predictions_validate_all.npz, or one such file.",
        ),
    ],
    window: Annotated[
        int | None,
        typer.Option(min=0, help="The window of a single file that is in no folder window_<k>."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score an official Ai-GenBench predictions dump: every window and period, and the averages over time."""
    # Imported here so that `--help` and other commands don't pay for numpy.
    from rich.console import Console

    from tidemark import score as scoring
    from tidemark.dump import DumpError, read_dump

    try:
        dump = read_dump(path, window)
    except (DumpError, OSError) as fault:
        typer.echo(f"tidemark score: {fault}", err=True)
        raise typer.Exit(1) from None
    if dump.missing:
        listed = ", ".join(map(str, dump.missing))
        typer.echo(
            f"tidemark score: no predictions for window {listed}; averages over it are undefined.", err=True
        )
    report = scoring.score(dump)
    if as_json:
        typer.echo(json.dumps(scoring.as_json(report), indent=1, allow_nan=False))
    else:
        # A pipe has no width of its own, and 80 columns would break the tables.
        scoring.print_report(report, Console(width=None if sys.stdout.isatty() else 100))


def main() -> None:
    app()
