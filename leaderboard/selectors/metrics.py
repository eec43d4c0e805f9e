"""What Prometheus scrapes: figures that come from the database at that moment.

So they are exact whatever the number of web processes, and any of them may answer. Counts of
requests are the business of the proxy or of gunicorn (``--statsd-host``): a process knows only its
own (docs/decisions/0008-metrics-come-from-the-database.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.db.models import Count
from django.utils import timezone
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from leaderboard.models import Batch, Edition, Step
from leaderboard.selectors.desk.arrivals import arrivals
from leaderboard.selectors.desk.failures import entry, failure_counts
from leaderboard.selectors.desk.queue import queue
from leaderboard.selectors.desk.storage import disk_room, inventory
from leaderboard.selectors.desk.workers import WorkerState, worker_rows
from protocols.errors import Owner
from protocols.states import BatchState, StepState

EVER = datetime(1970, 1, 1, tzinfo=UTC)


def metrics() -> bytes:
    """All figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Server())
    return generate_latest(registry)


class _Server(Collector):
    """Reads everything anew for each scrape."""

    def collect(self) -> Iterator[Metric]:
        yield from _steps()
        yield from _people()
        yield from _data()
        yield from _store()

    def describe(self) -> Iterator[Metric]:
        # Registering must not ask the database.
        return iter(())


def _steps() -> Iterator[Metric]:
    steps = GaugeMetricFamily(
        "tidemark_steps", "Steps by state, phase and GPUs.", labels=["state", "phase", "gpus"]
    )
    first = GaugeMetricFamily("tidemark_first_contact_steps", "Steps of arrivals by state.", labels=["state"])
    contacts = dict.fromkeys((state.value for state in StepState), 0)
    rows = Step.objects.order_by("state", "phase", "gpus").values_list("state", "phase", "gpus")
    for state, phase, gpus, n, n_contacts in rows.annotate(Count("id"), Count("unit")):
        steps.add_metric([state, phase, str(gpus)], n)
        contacts[state] += n_contacts
    for state, n in contacts.items():
        first.add_metric([state], n)
    yield steps
    yield first


def _people() -> Iterator[Metric]:
    """Who works, what waits for them, and what went wrong."""
    rows = worker_rows()
    workers = GaugeMetricFamily("tidemark_workers", "Workers of the last week by state.", labels=["state"])
    for state in WorkerState:
        workers.add_metric([state.value.replace(" ", "_")], sum(row.state == state for row in rows))
    yield workers
    yield GaugeMetricFamily(
        "tidemark_worker_gpus",
        "GPUs of the workers that can take work.",
        sum(row.n_gpus for row in rows if row.state == WorkerState.ALIVE),
    )
    since = queue(rows).ready_since
    yield GaugeMetricFamily(
        "tidemark_oldest_ready_seconds",
        "For how long the oldest work that could begin has waited; 0 when there is none.",
        (timezone.now() - since).total_seconds() if since else 0.0,
    )
    counts = dict.fromkeys((Owner.PARTICIPANT, Owner.PLATFORM, Owner.MAINTAINER), 0)
    for code, (n, _) in failure_counts(EVER).items():
        counts[entry(code).owner] = counts.get(entry(code).owner, 0) + n
    failures = CounterMetricFamily(
        "tidemark_failures",
        "Steps, submissions and batches that a fault ended, by its owner.",
        labels=["owner"],
    )
    for owner, n in counts.items():
        failures.add_metric([owner.value], n)
    yield failures


def _data() -> Iterator[Metric]:
    found = arrivals()
    yield GaugeMetricFamily(
        "tidemark_arrivals_pending",
        "Generators that some detector has not met yet.",
        sum(not arrival.is_final for arrival in found),
    )
    batches = GaugeMetricFamily("tidemark_batches", "Batches by state.", labels=["state"])
    counts = dict(Batch.objects.order_by("state").values_list("state").annotate(Count("pk")))
    for state in BatchState:
        batches.add_metric([state.value], counts.get(state.value, 0))
    yield batches
    yield GaugeMetricFamily(
        "tidemark_editions_unapproved",
        "Editions that wait for a maintainer.",
        Edition.objects.filter(opened_at__isnull=True).count(),
    )


def _store() -> Iterator[Metric]:
    taken = inventory()
    size = GaugeMetricFamily("tidemark_store_bytes", "Bytes in the store by kind.", labels=["kind"])
    free = GaugeMetricFamily(
        "tidemark_store_freeable_bytes", "Bytes that nobody needs, by kind.", labels=["kind"]
    )
    missing = GaugeMetricFamily(
        "tidemark_store_missing_objects", "Objects that somebody needs and that are gone.", labels=["kind"]
    )
    for stock in taken.stocks:
        size.add_metric([stock.kind.value], stock.size_bytes)
        free.add_metric([stock.kind.value], stock.free_bytes)
        missing.add_metric([stock.kind.value], stock.n_missing)
    yield from (size, free, missing)
    yield GaugeMetricFamily(
        "tidemark_store_measured_timestamp_seconds",
        "When the store was measured; at most five minutes ago.",
        taken.at.timestamp(),
    )
    room = disk_room()
    yield GaugeMetricFamily("tidemark_disk_bytes", "Size of the store's file system.", room.total)
    yield GaugeMetricFamily("tidemark_disk_free_bytes", "Room that is left on it.", room.free)
