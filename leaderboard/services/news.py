"""What readers are told: which events there are is in ``notifications``, when they happen is here."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, Max, OuterRef, Subquery
from django.utils import timezone

from leaderboard.models import Benchmark, Edition, Generator, Step, Unit
from leaderboard.selectors.arrivals import Met, met_by_generator
from leaderboard.services.notifications import Event, generator_payload, notify
from protocols.states import LIVE_STEP

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
    ended = steps.order_by("unit").values("unit").annotate(at=Max("finished_at")).values("at")
    met = (
        Unit.objects.filter(~Exists(steps.filter(state__in=LIVE_STEP)), generator__withdrawn_at=None)
        .annotate(ended_at=Subquery(ended))
        .filter(ended_at__gte=timezone.now() - LOOK_BACK)
        .select_related("generator__corpus", "benchmark")
    )
    for unit in met:
        # Those who asked for news after the last detector had met it are spared.
        notify(
            Event.FIRST_CONTACTS_COMPLETE,
            unit.benchmark,
            generator_payload(unit.generator) | _numbers(unit),
            key=f"{unit.generator.slug} {unit.version}",
            happened_at=unit.ended_at,
        )
    return len(met)


def _numbers(unit: Unit) -> dict[str, object]:
    """How the public detectors met a generator, as the page of arrivals has it."""
    met = met_by_generator(unit.benchmark, [unit.generator]).get(unit.generator_id, Met())
    return {"n_detectors": met.n_met, "best": met.best, "median": met.median}
