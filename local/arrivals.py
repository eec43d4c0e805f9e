"""What happens after the benchmark has begun: generators arrive, and every detector meets them first."""

from __future__ import annotations

import time
from collections.abc import Sequence

from local.maintainer import CorpusFolder, publish_generator
from local.submitter import current_board, title
from local.terminal import POLL_S, bars, say, say_table
from tidemark.client import Api
from tidemark.results import percent
from tidemark.tables import table


def arrive(api: Api, folder: CorpusFolder, row: dict[str, str]) -> None:
    """Publish a generator that was held back and wait until every active detector has met it."""
    publish_generator(api, folder, row["slug"])
    with bars() as progress:
        bar = progress.add_task(f"{row['name']} arrives", total=1.0, activity="")
        while True:
            n_met, n_coming = _met(api, folder.slug, row["slug"])
            activity = f"met by {n_met} of {n_met + n_coming} detectors"
            progress.update(bar, completed=n_met / max(1, n_met + n_coming), activity=activity)
            if not n_coming:
                return
            time.sleep(POLL_S)


def _met(api: Api, benchmark: str, generator: str) -> tuple[int, int]:
    """How many detectors have met a generator, and how many are still to; nobody meets what waits."""
    rows = api.get(f"benchmarks/{benchmark}/arrivals/")["rows"]
    met = next(row["met"] for row in rows if row["slug"] == generator)
    return met["n_met"], met["n_coming"]


def print_first_contacts(api: Api, benchmark: str, slugs: Sequence[str]) -> None:
    """Every detector's AUROC on these generators before it could learn from them."""
    current_board(api, benchmark)
    contact = api.get(f"benchmarks/{benchmark}/first-contact/")
    shown = [(n, g) for n, g in enumerate(contact["generators"]) if g["slug"] in slugs]
    if not shown:
        return
    say("\nFirst contact with what arrived: AUROC in %, final; * the detector was sealed before\n")
    contacts = table("Detector", *(f">{generator['name']}" for _, generator in shown))
    for row in contact["rows"]:
        cells = [row["cells"][n] for n, _ in shown]
        values = [percent(cell["value"]) + ("*" if cell["prospective"] else "") for cell in cells]
        contacts.add_row(title(row["entry"]), *values)
    say_table(contacts)
