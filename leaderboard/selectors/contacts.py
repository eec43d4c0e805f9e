"""First contacts: the final score of each detector on each generator that it met unprepared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from leaderboard.models import FirstContact
from leaderboard.selectors.entries import Entry

Contacts = dict[tuple[UUID, int], FirstContact]


def contacts_of(found: Sequence[Entry], generator_ids: Iterable[int]) -> Contacts:
    """First contacts by (submission, generator), with the seed of the run that stands on the board.

    One query. A detector that stands there without a run has those of its lowest seed.
    """
    seed_of = {entry.submission_id: entry.seed for entry in found}
    rows = FirstContact.objects.filter(submission__in=list(seed_of), generator__in=list(generator_ids))
    return {
        (row.submission_id, row.generator_id): row
        for row in rows.order_by("-seed")
        if seed_of[row.submission_id] in (None, row.seed)
    }
