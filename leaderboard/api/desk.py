"""The desk for scripts: what the maintainers' pages show, as JSON."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.auth import MaintainerOnly
from leaderboard.api.base import Filters
from leaderboard.models import Action
from leaderboard.selectors.desk.actions import containing
from leaderboard.selectors.desk.arrivals import arrivals
from leaderboard.selectors.desk.cost import cost_report
from leaderboard.selectors.desk.failures import failures
from leaderboard.selectors.desk.front import Need, front
from leaderboard.selectors.desk.queue import queue
from leaderboard.selectors.desk.storage import Kind, inventory
from leaderboard.selectors.desk.workers import WorkerState, worker_rows
from leaderboard.services.audit import Verb
from protocols.errors import Owner

Fields = serializers.Serializer[Any]


def values(enum: Any) -> list[str]:
    return [member.value for member in enum]


class DeskView(APIView):
    """One part of the desk. For maintainers."""

    permission_classes = (MaintainerOnly,)


class AttentionOutput(Fields):
    need = serializers.ChoiceField(choices=values(Need))
    subject = serializers.CharField()
    text = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    batch = serializers.UUIDField(source="batch.pk", default=None, allow_null=True)
    benchmark = serializers.CharField(source="edition.benchmark.slug", default=None, allow_null=True)
    edition = serializers.IntegerField(source="edition.number", default=None, allow_null=True)
    worker = serializers.CharField(source="worker.beat.name", default=None, allow_null=True)


class FrontOutput(Fields):
    attention = AttentionOutput(many=True)
    arrivals_pending = serializers.IntegerField(source="n_pending")
    first_contacts_left = serializers.IntegerField(source="n_contacts_left")
    ready = serializers.IntegerField(source="queue.n_ready")
    running = serializers.IntegerField(source="queue.n_running")
    waiting = serializers.IntegerField(source="queue.n_waiting")
    ready_since = serializers.DateTimeField(source="queue.ready_since", allow_null=True)
    workers_alive = serializers.IntegerField(source="n_alive")
    workers_busy = serializers.IntegerField(source="n_busy")
    failures = serializers.DictField(source="failures.by_owner", child=serializers.IntegerField())
    store_bytes = serializers.IntegerField(source="inventory.size_bytes")
    freeable_bytes = serializers.IntegerField(source="inventory.free_bytes")
    disk_free_bytes = serializers.IntegerField(source="inventory.disk_free_bytes")


class Desk(DeskView):
    @extend_schema(responses=FrontOutput)
    def get(self, request: Request) -> Response:
        """What needs a maintainer now, and how everything stands. For maintainers."""
        return Response(FrontOutput(front()).data)


class DeskArrivalOutput(Fields):
    generator = serializers.CharField(source="unit.generator.slug")
    corpus = serializers.CharField(source="unit.generator.corpus.slug")
    benchmark = serializers.CharField(source="unit.benchmark.slug")
    version = serializers.IntegerField(source="unit.version")
    published_at = serializers.DateTimeField(allow_null=True)
    steps = serializers.IntegerField(source="n_steps")
    done = serializers.IntegerField(source="n_done")
    running = serializers.IntegerField(source="n_running")
    ready = serializers.IntegerField(source="n_ready")
    failed = serializers.IntegerField(source="n_failed")
    cancelled = serializers.IntegerField(source="n_cancelled")
    first_contacts = serializers.IntegerField(source="n_contacts", help_text="Scores that are final.")
    is_final = serializers.BooleanField(help_text="Nothing is left to do.")


class DeskArrivals(DeskView):
    @extend_schema(responses=DeskArrivalOutput(many=True))
    def get(self, request: Request) -> Response:
        """Generators of the last 30 days and how many detectors have met them. For maintainers."""
        return Response(DeskArrivalOutput(arrivals(), many=True).data)


class QueueRowOutput(Fields):
    what = serializers.CharField()
    gpus = serializers.IntegerField()
    waiting = serializers.IntegerField(source="n_waiting")
    ready = serializers.IntegerField(source="n_ready")
    resting = serializers.IntegerField(source="n_resting", help_text="Ready, after a fault of the platform.")
    running = serializers.IntegerField(source="n_running")
    ready_since = serializers.DateTimeField(allow_null=True)
    workers = serializers.IntegerField(source="n_workers", help_text="Alive, with what it takes.")


class EditionBudgetOutput(Fields):
    benchmark = serializers.CharField(source="edition.benchmark.slug")
    edition = serializers.IntegerField(source="edition.number")
    budget_s = serializers.IntegerField(source="edition.budget_s")
    spent_s = serializers.FloatField(source="edition.spent_s")
    steps_left = serializers.IntegerField(source="n_steps")
    is_spent = serializers.BooleanField()


class QueueOutput(Fields):
    rows = QueueRowOutput(many=True)
    budgets = EditionBudgetOutput(many=True)


class DeskQueue(DeskView):
    @extend_schema(responses=QueueOutput)
    def get(self, request: Request) -> Response:
        """Live work by what it needs, and the budgets of editions. For maintainers."""
        return Response(QueueOutput(queue(worker_rows())).data)


class WorkerOutput(Fields):
    name = serializers.CharField(source="beat.name")
    state = serializers.ChoiceField(choices=values(WorkerState))
    gpus = serializers.ListField(source="beat.gpus", child=serializers.CharField())
    engine = serializers.CharField(source="beat.engine")
    problem = serializers.CharField(source="beat.problem")
    started_at = serializers.DateTimeField(source="beat.started_at")
    seen_at = serializers.DateTimeField(source="beat.seen_at")
    stopped_at = serializers.DateTimeField(source="beat.stopped_at", allow_null=True)
    step = serializers.IntegerField(source="step.pk", default=None, allow_null=True)
    progress = serializers.FloatField(source="step.progress", default=None, allow_null=True)
    activity = serializers.CharField(source="step.activity", default=None, allow_null=True)


class DeskWorkers(DeskView):
    @extend_schema(responses=WorkerOutput(many=True))
    def get(self, request: Request) -> Response:
        """The workers of the last week, and what each does. For maintainers."""
        return Response(WorkerOutput(worker_rows(), many=True).data)


class EndedOutput(Fields):
    kind = serializers.CharField(help_text="step, submission or batch.")
    name = serializers.CharField()
    target = serializers.UUIDField(help_text="The submission or the batch.")
    at = serializers.DateTimeField()
    detail = serializers.CharField()


class FailureOutput(Fields):
    code = serializers.CharField(source="entry.code")
    owner = serializers.ChoiceField(source="entry.owner", choices=values(Owner))
    what = serializers.CharField(source="entry.what")
    count = serializers.IntegerField()
    last_at = serializers.DateTimeField(allow_null=True)
    newest = EndedOutput(source="examples", many=True)


class FailuresOutput(Fields):
    since = serializers.DateTimeField()
    by_owner = serializers.DictField(child=serializers.IntegerField())
    codes = FailureOutput(source="rows", many=True)


class DeskFailures(DeskView):
    @extend_schema(responses=FailuresOutput)
    def get(self, request: Request) -> Response:
        """What ended badly in the last 30 days, by owner and code. For maintainers."""
        return Response(FailuresOutput(failures()).data)


class StockOutput(Fields):
    kind = serializers.ChoiceField(choices=values(Kind))
    objects = serializers.IntegerField(source="n_objects")
    size_bytes = serializers.IntegerField()
    not_needed = serializers.IntegerField(source="n_free")
    freeable_bytes = serializers.IntegerField(source="free_bytes")
    missing = serializers.IntegerField(source="n_missing")


class InventoryOutput(Fields):
    at = serializers.DateTimeField()
    stocks = StockOutput(many=True)
    disk_bytes = serializers.IntegerField()
    disk_free_bytes = serializers.IntegerField()


class DeskStorage(DeskView):
    @extend_schema(responses=InventoryOutput)
    def get(self, request: Request) -> Response:
        """What the store holds by kind, measured in the last five minutes. For maintainers."""
        return Response(InventoryOutput(inventory()).data)


class CostOutput(Fields):
    steps = serializers.IntegerField(source="n_steps")
    container_s = serializers.FloatField()
    cpu_s = serializers.FloatField()
    gpu_s = serializers.FloatField()
    money = serializers.FloatField(allow_null=True, help_text="Null where no price is set.")


class CostRowOutput(Fields):
    owner = serializers.CharField()
    month = CostOutput()
    total = CostOutput()


class CostReportOutput(Fields):
    month_from = serializers.DateTimeField()
    currency = serializers.CharField()
    owners = CostRowOutput(source="rows", many=True)


class DeskCost(DeskView):
    @extend_schema(responses=CostReportOutput)
    def get(self, request: Request) -> Response:
        """What the detectors of each owner took, this month and in all. For maintainers."""
        return Response(CostReportOutput(cost_report()).data)


class ActionOutput(serializers.ModelSerializer[Action]):
    class Meta:
        model = Action
        fields = ["id", "at", "actor", "verb", "subject", "reason", "detail"]


class ActionFilter(Filters):
    actor = django_filters.CharFilter()
    verb = django_filters.ChoiceFilter(choices=[(verb.value, verb.value) for verb in Verb])
    text = django_filters.CharFilter(method="find", label="In the subject, the reason or the details.")

    def find(self, rows: QuerySet[Action], name: str, value: str) -> QuerySet[Action]:
        return containing(rows, value)


class DeskActions(generics.ListAPIView[Action]):
    """What maintainers did, newest first. For maintainers."""

    permission_classes = (MaintainerOnly,)
    serializer_class = ActionOutput
    filterset_class = ActionFilter
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Action]:
        return Action.objects.all()
