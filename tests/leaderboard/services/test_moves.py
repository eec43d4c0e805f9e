"""States move through one function, by the table, with one event a move."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from leaderboard.models import Event, Step
from leaderboard.services.moves import TABLES, move
from protocols.errors import RequestError
from protocols.states import StepState
from tests.leaderboard.factories import BatchFactory, RunFactory, StepFactory, SubmissionFactory

pytestmark = pytest.mark.django_db

FACTORIES = {"Submission": SubmissionFactory, "Batch": BatchFactory, "Run": RunFactory, "Step": StepFactory}
MOVES = [
    pytest.param(model, str(old), str(new), id=f"{model.__name__}-{old}-{new}")
    for model, table in TABLES.items()
    for old in table
    for new in table
]


@pytest.mark.parametrize(("model", "old", "new"), MOVES)
def test_only_listed_moves_happen_and_each_leaves_one_event(model: type, old: str, new: str) -> None:
    subject = FACTORIES[model.__name__](state=old)
    listed = {str(state) for state in {str(s): t for s, t in TABLES[model].items()}[old]}
    if new in listed:
        move(subject, new, actor="tester", reason="because")
        event = Event.objects.get(**{model.__name__.lower(): subject})
        assert (event.old, event.new, event.actor, event.reason) == (old, new, "tester", "because")
        assert model.objects.get(pk=subject.pk).state == subject.state == new
    else:
        with pytest.raises(RequestError) as caught:
            move(subject, new)
        assert caught.value.code == "illegal_transition"
        assert model.objects.get(pk=subject.pk).state == old
        assert not Event.objects.exists()


def test_the_state_in_the_database_counts_not_the_one_in_hand() -> None:
    step = StepFactory(state=StepState.READY)
    stale = Step.objects.get(pk=step.pk)
    move(step, StepState.CANCELLED)
    with pytest.raises(RequestError, match="cancelled → running"):
        move(stale, StepState.RUNNING)


def test_the_database_refuses_a_state_that_no_table_knows() -> None:
    step = StepFactory()
    with pytest.raises(IntegrityError, match="step_state"):
        Step.objects.filter(pk=step.pk).update(state="asleep")
