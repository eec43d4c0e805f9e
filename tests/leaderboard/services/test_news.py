"""When readers are told: with the transaction of what happened, and once."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import transaction
from django.utils import timezone

from leaderboard.models import Channel, Delivery, FirstContact, Step, Subscription
from leaderboard.services.editions import edition_open
from leaderboard.services.generators import generator_withdraw
from leaderboard.services.news import tell_met
from leaderboard.services.publication import batch_publish
from leaderboard.services.sweep import sweep
from protocols.errors import DataError
from protocols.states import StepState
from tests.leaderboard.factories import (
    BenchmarkFactory,
    CorpusFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
)
from tests.leaderboard.images import publish, publish_reals, seal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reader() -> Subscription:
    return Subscription.objects.create(
        channel=Channel.EMAIL, address="reader@example.org", confirmed_at=timezone.now()
    )


def told() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("event", flat=True))


def test_an_arrival_an_edition_and_a_withdrawal_are_told_of() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus)
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=1)
    publish(corpus, "g0", "2020-01-01")
    edition_open(benchmark)
    batch = publish(corpus, "g1", "2020-02-01")
    assert Counter(told()) == {"generator.published": 2, "edition.opened": 2}
    assert batch.generator is not None
    generator_withdraw(batch.generator, actor="ada", reason="The licence was revoked.")
    last = Delivery.objects.get(event="generator.withdrawn")
    assert last.payload["reason"] == "The licence was revoked."
    assert last.payload["generator"]["slug"] == "g1"


def test_a_publication_that_is_refused_tells_nobody() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus, n_eval=4)
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=1)
    publish(corpus, "g0", "2020-01-01")
    edition_open(benchmark)
    before = told()
    with pytest.raises(DataError), transaction.atomic():
        batch_publish(seal(corpus, "g1", "2020-02-01", n_eval=9), actor="ada")
    assert told() == before


def test_readers_hear_once_when_the_last_detector_has_met_a_generator() -> None:
    unit = UnitFactory()
    steps = [
        StepFactory(
            run=RunFactory(submission=SubmissionFactory(benchmark=unit.benchmark)),
            phase="predict",
            unit=unit,
            state=state,
            finished_at=timezone.now() if state == StepState.SUCCEEDED else None,
        )
        for state in (StepState.SUCCEEDED, StepState.READY)
    ]
    for step, auroc in zip(steps, (0.9, 0.6), strict=True):
        FirstContact.objects.create(
            submission=step.run.submission,
            seed=0,
            generator=unit.generator,
            unit=unit,
            edition=step.run.edition,
            window=0,
            state_key=step.key,
            prospective=True,
            roc_auc=auroc,
            tp=9,
            tn=9,
            fp=1,
            fn=1,
        )
    assert tell_met() == 0
    Step.objects.filter(pk=steps[1].pk).update(state=StepState.FAILED, finished_at=timezone.now())
    sweep()
    assert told() == ["generator.first_contacts_complete"]
    payload = Delivery.objects.get().payload
    assert (payload["n_detectors"], payload["best"], payload["median"]) == (2, 0.9, 0.75)
    assert tell_met() == 1
    assert told() == ["generator.first_contacts_complete"]
