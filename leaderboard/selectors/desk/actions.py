"""The log of what maintainers did, to be searched."""

from __future__ import annotations

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from leaderboard.models import Action


def actions(*, actor: str = "", verb: str = "", text: str = "") -> QuerySet[Action]:
    """Newest first. ``text`` is looked for in the subject, the reason and the details."""
    found = Action.objects.all()
    if actor:
        found = found.filter(actor=actor)
    if verb:
        found = found.filter(verb=verb)
    if text:
        found = containing(found, text)
    return found


def containing(found: QuerySet[Action], text: str) -> QuerySet[Action]:
    return found.annotate(written=Cast("detail", TextField())).filter(
        Q(subject__icontains=text) | Q(reason__icontains=text) | Q(written__icontains=text)
    )


def actors() -> list[str]:
    """Everybody who is in the log."""
    return list(Action.objects.order_by("actor").values_list("actor", flat=True).distinct())
