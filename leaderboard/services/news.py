"""What readers are told: which events there are is in ``notifications``, when they happen is here."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from django.db.models import Exists, OuterRef
from django.utils import timezone

from leaderboard.models import Benchmark, Edition, FirstContact, Generator, Step, Unit, Visibility
from leaderboard.services.notifications import Event, generator_payload, notify
from protocols.states import StepState

PENDING = (StepState.WAITING, StepState.READY, StepState.RUNNING)
# A round of first contacts is told of by the first sweep after it; this long one is looked back for.
LOOK_BACK = timedelta(days=1)


def tell_published(benchmark: Benchmark, generator: Generator) -> None:
    notify(Event.GENERATOR_PUBLISHED, benchmark, generator_payload(generator), key=generator.slug)


def tell_withdrawn(generator: Generator) -> None:
    payload = generator_payload(generator) | {"reason": generator.withdrawal_reason}
    for benchmark in generator.corpus.benchmarks.all():
        notify(Event.GENERATOR_WITHDRAWN, benchmark, payload, key=generator.slug)


def tell_opened(edition: Edition) -> None:
    notify(Event.EDITION_OPENED, edition.benchmark, {"edition": edition.number}, key=str(edition.number))


def tell_met() -> int:
    """Tell of every generator that all active detectors have met by now; returns how many there are.

    Telling again reaches nobody twice, so the sweeper may ask as often as it likes.
    """
    steps = Step.objects.filter(unit=OuterRef("pk"))
    met = Unit.objects.filter(
        Exists(steps.filter(finished_at__gte=timezone.now() - LOOK_BACK)),
        ~Exists(steps.filter(state__in=PENDING)),
        generator__withdrawn_at=None,
    ).select_related("generator__corpus", "benchmark")
    for unit in met:
        notify(
            Event.FIRST_CONTACTS_COMPLETE,
            unit.benchmark,
            generator_payload(unit.generator) | _numbers(unit),
            key=f"{unit.generator.slug} {unit.version}",
        )
    return len(met)


def _numbers(unit: Unit) -> dict[str, object]:
    """How the public detectors met a generator."""
    contacts = FirstContact.objects.filter(unit=unit, submission__visibility=Visibility.PUBLIC)
    aurocs = [value for value in contacts.values_list("roc_auc", flat=True) if value is not None]
    return {
        "n_detectors": len(aurocs),
        "best": max(aurocs, default=None),
        "median": median(aurocs) if aurocs else None,
    }
