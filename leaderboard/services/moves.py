"""The one place where a state changes."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import transaction

from leaderboard.models import Batch, Benchmark, Event, Run, Step, Submission
from leaderboard.services.boards import board_touch
from protocols import states
from protocols.errors import RequestError

Subject = TypeVar("Subject", Submission, Batch, Run, Step)

TABLES: dict[type, states.Table] = {
    Submission: states.SUBMISSION,
    Batch: states.BATCH,
    Run: states.RUN,
    Step: states.STEP,
}
SERVER = "server"
# What a piece of work that nobody holds has in its lease.
FREE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}


def move(subject: Subject, to: str, *, actor: object = SERVER, reason: str = "", **fields: Any) -> Subject:
    """Move ``subject`` to a state, set ``fields`` with it and leave one event row, under a row lock.

    The given object is refreshed in place. Raises ``RequestError('illegal_transition')``
    when the table of ``protocols.states`` does not list the move from the state that the
    row has *now*.
    """
    model = type(subject)
    with transaction.atomic():
        locked = model._default_manager.select_for_update(of=("self",)).get(pk=subject.pk)
        old = locked.state
        try:
            states.check_move(TABLES[model], old, to)
        except states.IllegalMoveError as error:
            raise RequestError("illegal_transition", f"{model.__name__} {subject.pk}: {error}.") from error
        fields["state"] = str(to)
        for name, value in fields.items():
            setattr(locked, name, value)
            setattr(subject, name, value)
        locked.save(update_fields=list(fields))
        Event.objects.create(
            **{model.__name__.lower(): locked}, old=old, new=str(to), actor=str(actor)[:200], reason=reason
        )
        if isinstance(locked, Submission):
            board_touch(locked.benchmark_id)
        elif isinstance(locked, Run):
            board_touch(*Benchmark.objects.filter(editions=locked.edition_id).values_list("pk", flat=True))
    return subject
