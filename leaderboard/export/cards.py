"""What the pictures of the site's pages show."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from leaderboard.export.picture import Card
from leaderboard.export.plain import ranks
from leaderboard.export.svg import Mark
from leaderboard.export.table import Export
from leaderboard.models import Generator
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.rows import BoardRow
from leaderboard.selectors.snapshots import Shown
from leaderboard.selectors.standing import Standing, Top

MOTTO = "A detector is worth what it does on the next generator."
HEADLINE = "AUROC on the next generators, before training on them, with 95 % intervals"


def site_card() -> Card:
    return Card("Detectors of AI-generated images", said=MOTTO, foot="A benchmark in the order of release")


def board_card(found: Top) -> Card:
    """The three that lead, with their intervals."""
    return Card(
        found.benchmark.name,
        said=HEADLINE if found.rows else "No detector is ranked yet.",
        bars=tuple(map(mark_of, found.rows[:3])),
        foot=dated(found.shown, f"{found.n_ranked} detectors ranked"),
        instead=found.benchmark.slug,
        simulated=found.benchmark.corpus.simulated,
    )


def detector_card(found: Standing) -> Card:
    """Its headline, its rank and the Next windows."""
    benchmark = found.submission.benchmark
    entry = found.row.entry if found.row else None
    estimate = entry.next.estimate if entry else Estimate()
    places = "Not ranked"
    if entry and entry.rank is not None:
        places = f"Rank {ranks(entry.rank, entry.rank_best, entry.rank_worst)} of {found.n_ranked}"
    bounds = ""
    if estimate.low is not None and estimate.high is not None:
        bounds = f"95 % interval {estimate.low:.3f}–{estimate.high:.3f}"
    return Card(
        found.submission.name,
        said=f"{found.submission.team.name} on {benchmark.name}",
        figure="" if estimate.value is None else f"{estimate.value:.3f}",
        lines=("AUROC on the next generators", bounds, places),
        curve=tuple(cell.value for cell in found.row.windows) if found.row else (),
        foot=dated(found.shown, "No result yet" if estimate.value is None else "Every next window"),
        instead=f"Detector {str(found.submission.pk)[:8]}",
        simulated=benchmark.corpus.simulated,
    )


def generator_card(generator: Generator, ranking: Export | None) -> Card:
    """The three that met it best, by the table of ``board_tables.generator``."""
    first = next(iter(ranking.parts), None) if ranking else None
    met = [row for row in (first.slice(0, 20).to_pylist() if first else []) if row["rank"] is not None]
    family = f" · {generator.family}" if generator.family else ""
    return Card(
        generator.name,
        said=f"Released on {generator.release_date.isoformat()}{family}",
        bars=tuple(_met(row) for row in met[:3]),
        foot=f"{generator.corpus.name} · AUROC at first contact, before learning from it",
        instead=generator.slug,
        simulated=generator.corpus.simulated,
    )


def _met(row: dict[str, Any]) -> Mark:
    estimate = Estimate(row["value"], row["low"], row["high"])
    return Mark(row["name"], estimate, ranks(row["rank"], row["rank_best"], row["rank_worst"]))


def mark_of(row: BoardRow) -> Mark:
    """A row of a board as a bar: its ranks beside its name."""
    entry = row.entry
    places = "" if entry.rank is None else ranks(entry.rank, entry.rank_best, entry.rank_worst)
    return Mark(entry.name, entry.next.estimate, places)


def dated(shown: Shown | None, text: str) -> str:
    """A text, and which board it is from."""
    board = [f"edition {shown.edition}", f"{shown.at.astimezone(UTC):%Y-%m-%d}"] if shown else []
    return " · ".join([*([text] if text else []), *board])
