"""How a page says that a detector's result is cited: with the address of the very board it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.urls import reverse

from leaderboard.export.addresses import absolute, site
from leaderboard.export.bibtex import detector_entry
from leaderboard.export.plain import ranks
from leaderboard.models import Submission
from leaderboard.selectors.entries import Entry
from leaderboard.selectors.snapshots import Shown


@dataclass(frozen=True)
class Citation:
    """``address`` shows the board as it was, for good; ``text`` is for a list of references."""

    address: str
    text: str
    bibtex: str


def cite(submission: Submission, entry: Entry, shown: Shown, n_ranked: int) -> Citation:
    """The citation of ``entry`` as it stands on the board ``shown``."""
    benchmark = submission.benchmark
    address = absolute(f"{reverse('leaderboard', args=[benchmark.slug])}?asof={shown.citation}")
    today = datetime.now(UTC).date()
    parts = [
        f"{entry.team}: {entry.name}",
        f"{benchmark.name}{' (simulated corpus)' if benchmark.corpus.simulated else ''}, "
        f"edition {shown.edition}, board {shown.citation} of {shown.at.astimezone(UTC):%Y-%m-%d}",
        *([result] if (result := _result(entry, n_ranked)) else []),
        f"Tidemark, {address}",
    ]
    return Citation(
        address,
        ". ".join(parts),
        detector_entry(submission, entry, shown, n_ranked, site=site(), accessed=today),
    )


def _result(entry: Entry, n_ranked: int) -> str:
    """The headline in words; nothing where there is none."""
    estimate = entry.next.estimate
    if estimate.value is None:
        return ""
    bounds = (
        f" (95 % interval {estimate.low:.3f}–{estimate.high:.3f})"
        if estimate.low is not None and estimate.high is not None
        else ""
    )
    place = "not ranked"
    if entry.rank:
        place = f"rank {ranks(entry.rank, entry.rank_best, entry.rank_worst)} of {n_ranked}"
    return f"Next AUROC {estimate.value:.3f}{bounds}, {place}"
