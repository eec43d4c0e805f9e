"""Benchmarks, their editions and windows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.auth import MaintainerOnly, MaintainerOrReadOnly
from leaderboard.api.base import Input, created, named
from leaderboard.api.corpora import PhaseCostOutput
from leaderboard.api.idempotency import idempotent
from leaderboard.models import (
    Benchmark,
    Closing,
    Corpus,
    Degradation,
    Edition,
    Generator,
    TrainingMode,
    Window,
)
from leaderboard.selectors import visible
from leaderboard.selectors.frontier import ahead
from leaderboard.selectors.preview import edition_preview
from leaderboard.services.benchmarks import benchmark_create
from leaderboard.services.editions import edition_approve, edition_open

# The largest of PostgreSQL's four-byte integers.
MAX_INT = 2**31 - 1
TIB = 2**40
WEEK_S = 7 * 24 * 3600


def size() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=TIB, required=False)


class BudgetInput(Input):
    """What one step may use, where it differs from the defaults. Sizes in bytes."""

    timeout_s = serializers.FloatField(min_value=1, max_value=WEEK_S, required=False)
    memory_bytes = size()
    cpus = serializers.FloatField(min_value=0.1, max_value=1024, required=False)
    pids = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)
    shm_bytes = size()
    tmp_bytes = size()
    state_bytes = size()
    output_bytes = size()
    log_bytes = size()
    gpus = serializers.IntegerField(min_value=0, max_value=64, required=False)


class BudgetsInput(Input):
    train = BudgetInput(required=False)
    predict = BudgetInput(required=False)


class BenchmarkInput(Input):
    slug = serializers.SlugField(max_length=60)
    name = serializers.CharField(max_length=120)
    corpus = serializers.SlugField(max_length=60)
    description = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    generators_per_window = serializers.IntegerField(min_value=1, max_value=1000, default=4)
    training_mode = serializers.ChoiceField(choices=TrainingMode.choices, default=TrainingMode.CUMULATIVE)
    degradation = serializers.ChoiceField(choices=Degradation.choices, default=Degradation.V2)
    closing = serializers.ChoiceField(
        choices=Closing.choices,
        default=Closing.AUTOMATIC,
        help_text="Whether training on a full window begins at once or after a maintainer's approval.",
    )
    seed = serializers.IntegerField(min_value=0, max_value=MAX_INT, default=1337)
    budgets = BudgetsInput(required=False)


class BudgetOutput(serializers.Serializer[Any]):
    timeout_s = serializers.FloatField()
    memory_bytes = serializers.IntegerField()
    cpus = serializers.FloatField()
    pids = serializers.IntegerField()
    shm_bytes = serializers.IntegerField()
    tmp_bytes = serializers.IntegerField()
    state_bytes = serializers.IntegerField()
    output_bytes = serializers.IntegerField()
    log_bytes = serializers.IntegerField()
    gpus = serializers.IntegerField()


class BudgetsOutput(serializers.Serializer[Any]):
    train = BudgetOutput()
    predict = BudgetOutput()


class BenchmarkOutput(serializers.ModelSerializer[Benchmark]):
    corpus = serializers.SlugRelatedField[Corpus](slug_field="slug", read_only=True)
    simulated = serializers.BooleanField(source="corpus.simulated", read_only=True)
    budgets = BudgetsOutput()

    class Meta:
        model = Benchmark
        fields = [
            "slug",
            "name",
            "description",
            "corpus",
            "simulated",
            "protocol_version",
            "generators_per_window",
            "training_mode",
            "degradation",
            "closing",
            "seed",
            "budgets",
            "shares_scores",
            "created_at",
        ]


class WindowGenerator(serializers.ModelSerializer[Generator]):
    class Meta:
        model = Generator
        fields = ["slug", "name", "family", "release_date"]


class WindowOutput(serializers.ModelSerializer[Window]):
    generators = WindowGenerator(many=True)

    class Meta:
        model = Window
        fields = ["index", "n_images", "manifest", "generators"]


class EditionOutput(serializers.ModelSerializer[Edition]):
    benchmark = serializers.SlugRelatedField[Benchmark](slug_field="slug", read_only=True)
    windows = WindowOutput(many=True)

    class Meta:
        model = Edition
        fields = [
            "benchmark",
            "number",
            "manifest_hash",
            "frontier",
            "created_at",
            "opened_at",
            "settled_at",
            "windows",
        ]


class BenchmarkDetailOutput(BenchmarkOutput):
    editions = serializers.ListField(
        child=serializers.IntegerField(), help_text="The numbers of all editions, oldest first."
    )
    edition = EditionOutput(allow_null=True, help_text="The newest edition, with its closed windows.")
    open_window = WindowGenerator(
        many=True, help_text="Published after the newest window: evaluated on, not trained on."
    )
    waiting = WindowGenerator(
        many=True,
        help_text="Published, but older than the newest window: they wait for an edition that re-orders.",
    )

    class Meta(BenchmarkOutput.Meta):
        fields = [*BenchmarkOutput.Meta.fields, "editions", "edition", "open_window", "waiting"]


def with_timeline(benchmark: Benchmark) -> dict[str, Any]:
    editions = list(benchmark.editions.select_related("benchmark").filter(opened_at__isnull=False))
    edition = editions[-1] if editions else None
    rest = ahead(benchmark.corpus_id, edition)
    return {
        **BenchmarkOutput(benchmark).data,
        "editions": [edition.number for edition in editions],
        "edition": EditionOutput(edition).data if edition else None,
        "open_window": WindowGenerator(rest.open, many=True).data,
        "waiting": WindowGenerator(rest.waiting, many=True).data,
    }


class Benchmarks(generics.ListAPIView[Benchmark]):
    """Every benchmark."""

    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = BenchmarkOutput
    ordering = ("slug",)

    def get_queryset(self) -> QuerySet[Benchmark]:
        return visible.benchmarks()

    @extend_schema(request=BenchmarkInput, responses={201: BenchmarkOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Make a benchmark over a corpus. For maintainers."""
        data = BenchmarkInput.parse(request)
        data["corpus"] = named(visible.corpora(), "corpus", slug=data["corpus"])
        benchmark = benchmark_create(**data, actor=request.user)
        return created(BenchmarkOutput(benchmark), "benchmark", benchmark.slug)


class BenchmarkDetail(generics.GenericAPIView[Benchmark]):
    permission_classes = (MaintainerOrReadOnly,)

    @extend_schema(responses=BenchmarkDetailOutput)
    def get(self, request: Request, slug: str) -> Response:
        """A benchmark with its newest windows, the open window, budgets and editions."""
        return Response(with_timeline(get_object_or_404(visible.benchmarks(), slug=slug)))


class Editions(generics.ListAPIView[Edition]):
    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = EditionOutput
    ordering = ("number",)

    def get_queryset(self) -> QuerySet[Edition]:
        return visible.editions().filter(benchmark__slug=self.kwargs.get("slug"))

    def get(self, request: Request, slug: str) -> Response:
        """The editions of a benchmark, oldest first."""
        self.benchmark(slug)
        return self.list(request)

    @extend_schema(
        request=None,
        responses={
            201: EditionOutput,
            200: OpenApiResponse(EditionOutput, "Nothing new fills a window: the present edition."),
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        """Cut the windows anew over all that is published, and open that edition. For maintainers."""
        benchmark = self.benchmark(slug)
        known = set(benchmark.editions.values_list("pk", flat=True))
        answer = EditionOutput(edition := edition_open(benchmark, actor=request.user))
        if edition.pk in known:
            return Response(answer.data)
        return created(answer, "edition", slug, edition.number)

    def benchmark(self, slug: str) -> Benchmark:
        return get_object_or_404(visible.benchmarks(), slug=slug)


class EditionDetail(generics.GenericAPIView[Edition]):
    permission_classes = (MaintainerOrReadOnly,)

    @extend_schema(responses=EditionOutput)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """An edition with its windows and their generators."""
        edition = get_object_or_404(visible.editions(), benchmark__slug=slug, number=number)
        return Response(EditionOutput(edition).data)


class CutWindowOutput(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    is_open = serializers.BooleanField()
    kept = serializers.BooleanField(help_text="The present edition has it too, images and all.")
    generators = WindowGenerator(many=True)


class EditionPreviewOutput(serializers.Serializer[Any]):
    benchmark = serializers.CharField(source="benchmark.slug")
    is_new = serializers.BooleanField(help_text="False when the present edition would come out again.")
    windows = CutWindowOutput(many=True)
    n_detectors = serializers.IntegerField()
    costs = PhaseCostOutput(many=True)
    currency = serializers.CharField()


class EditionPreviewView(APIView):
    permission_classes = (MaintainerOnly,)

    @extend_schema(responses=EditionPreviewOutput)
    def get(self, request: Request, slug: str) -> Response:
        """What cutting the windows anew would change, reuse and cost. For maintainers."""
        benchmark = get_object_or_404(visible.benchmarks(), slug=slug)
        return Response(EditionPreviewOutput(edition_preview(benchmark)).data)


class ApprovalInput(Input):
    budget_s = serializers.IntegerField(
        min_value=1,
        max_value=2**53,
        allow_null=True,
        default=None,
        help_text="Container seconds that training may take altogether; null sets no bound.",
    )


class EditionApprove(APIView):
    permission_classes = (MaintainerOrReadOnly,)

    @extend_schema(request=ApprovalInput, responses=EditionOutput)
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Let training on a closed window begin, or change its budget. For maintainers."""
        edition = get_object_or_404(visible.editions(), benchmark__slug=slug, number=number)
        data = ApprovalInput.parse(request)
        return Response(EditionOutput(edition_approve(edition, actor=request.user, **data)).data)
