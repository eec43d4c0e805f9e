"""Corpora, generators and batches of images."""

from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.auth import MaintainerOnly, MaintainerOrReadOnly
from leaderboard.api.base import ErrorField, Filters, Input, UploadInput, created, named
from leaderboard.api.idempotency import idempotent
from leaderboard.models import Batch, Corpus, Generator
from leaderboard.models.base import choices
from leaderboard.selectors import visible
from leaderboard.selectors.preview import publication_preview
from leaderboard.services.corpora import batch_create, batch_submit, corpus_create
from leaderboard.services.generators import generator_create, generator_redate, generator_withdraw
from leaderboard.services.publication import batch_publish
from protocols.contract import Phase
from protocols.states import BatchState


class CorpusInput(Input):
    slug = serializers.SlugField(max_length=60)
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    simulated = serializers.BooleanField(default=False)


class CorpusOutput(serializers.ModelSerializer[Corpus]):
    class Meta:
        model = Corpus
        fields = ["slug", "name", "description", "simulated", "created_at"]


class Corpora(generics.ListAPIView[Corpus]):
    """Every corpus."""

    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = CorpusOutput
    ordering = ("slug",)

    def get_queryset(self) -> QuerySet[Corpus]:
        return visible.corpora()

    @extend_schema(request=CorpusInput, responses={201: CorpusOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Make a corpus. For maintainers."""
        corpus = corpus_create(**CorpusInput.parse(request), actor=request.user)
        return created(CorpusOutput(corpus), "corpus", corpus.slug)


class CorpusDetail(generics.RetrieveAPIView[Corpus]):
    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = CorpusOutput
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Corpus]:
        return visible.corpora()


class GeneratorInput(Input):
    corpus = serializers.SlugField(max_length=60)
    slug = serializers.SlugField(max_length=80)
    name = serializers.CharField(max_length=120)
    release_date = serializers.DateField(help_text="The day on which it was released.")
    family = serializers.CharField(max_length=60, allow_blank=True, default="")
    source = serializers.CharField(max_length=2_000, allow_blank=True, default="")  # type: ignore[assignment]
    licence = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class GeneratorOutput(serializers.ModelSerializer[Generator]):
    corpus = serializers.SlugRelatedField[Corpus](slug_field="slug", read_only=True)

    class Meta:
        model = Generator
        fields = [
            "corpus",
            "slug",
            "name",
            "family",
            "release_date",
            "source",
            "licence",
            "shows_samples",
            "withdrawn_at",
            "withdrawal_reason",
        ]


class GeneratorFilter(Filters):
    corpus = django_filters.CharFilter(field_name="corpus__slug")
    family = django_filters.CharFilter()
    released_after = django_filters.DateFilter(
        field_name="release_date", lookup_expr="gt", label="Released after this day."
    )
    released_before = django_filters.DateFilter(
        field_name="release_date", lookup_expr="lt", label="Released before this day."
    )


class Generators(generics.ListAPIView[Generator]):
    """Generators in the order of their release."""

    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = GeneratorOutput
    filterset_class = GeneratorFilter
    ordering = ("release_date", "slug", "id")

    def get_queryset(self) -> QuerySet[Generator]:
        return visible.generators(self.request.user)

    @extend_schema(request=GeneratorInput, responses={201: GeneratorOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Register a generator. For maintainers."""
        data = GeneratorInput.parse(request)
        data["corpus"] = named(visible.corpora(), "corpus", slug=data["corpus"])
        generator = generator_create(**data, actor=request.user)
        return created(GeneratorOutput(generator), "generator", generator.corpus.slug, generator.slug)


class GeneratorDetail(generics.RetrieveAPIView[Generator]):
    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = GeneratorOutput

    def get_queryset(self) -> QuerySet[Generator]:
        return visible.generators(self.request.user)

    def get_object(self) -> Generator:
        return get_object_or_404(
            self.get_queryset(), corpus__slug=self.kwargs["corpus"], slug=self.kwargs["slug"]
        )


class GeneratorAction(APIView):
    permission_classes = (MaintainerOrReadOnly,)

    def generator(self, request: Request, corpus: str, slug: str) -> Generator:
        return get_object_or_404(visible.generators(request.user), corpus__slug=corpus, slug=slug)


class ReasonInput(Input):
    reason = serializers.CharField(max_length=2_000, help_text="Why; readers see it.")


class GeneratorWithdraw(GeneratorAction):
    @extend_schema(request=ReasonInput, responses=GeneratorOutput)
    def post(self, request: Request, corpus: str, slug: str) -> Response:
        """Hide a generator's scores and compute all averages without it. For maintainers."""
        generator = self.generator(request, corpus, slug)
        data = ReasonInput.parse(request)
        return Response(GeneratorOutput(generator_withdraw(generator, actor=request.user, **data)).data)


class ReleaseDateInput(ReasonInput):
    release_date = serializers.DateField(help_text="The day on which it was released.")


class GeneratorRedate(GeneratorAction):
    @extend_schema(request=ReleaseDateInput, responses=GeneratorOutput)
    def post(self, request: Request, corpus: str, slug: str) -> Response:
        """Correct a release date; closed windows stay until an edition is cut anew. For maintainers."""
        generator = self.generator(request, corpus, slug)
        data = ReleaseDateInput.parse(request)
        return Response(GeneratorOutput(generator_redate(generator, actor=request.user, **data)).data)


class BatchInput(Input):
    """Give exactly one of ``generator`` and ``real_source``."""

    corpus = serializers.SlugField(max_length=60)
    generator = serializers.SlugField(max_length=80, allow_null=True, default=None)
    real_source = serializers.SlugField(max_length=80, allow_blank=True, default="")


class BatchOutput(serializers.ModelSerializer[Batch]):
    corpus = serializers.SlugRelatedField[Corpus](slug_field="slug", read_only=True)
    generator = serializers.SlugRelatedField[Generator](slug_field="slug", read_only=True, allow_null=True)
    error = ErrorField()

    class Meta:
        model = Batch
        fields = [
            "id",
            "corpus",
            "generator",
            "real_source",
            "state",
            "progress",
            "activity",
            "n_train",
            "n_eval",
            "manifest_hash",
            "report",
            "audit",
            "publication_reason",
            "error",
            "created_at",
            "sealed_at",
            "published_at",
        ]

    def to_representation(self, batch: Batch) -> dict[str, Any]:
        """The lists of the report name files and images: they are for maintainers."""
        shown: dict[str, Any] = super().to_representation(batch)
        request = self.context.get("request")
        if request is not None and not visible.is_maintainer(request.user):
            shown["report"] = {name: n for name, n in shown["report"].items() if not isinstance(n, list)}
        return shown


class BatchFilter(Filters):
    corpus = django_filters.CharFilter(field_name="corpus__slug")
    generator = django_filters.CharFilter(field_name="generator__slug")
    real_source = django_filters.CharFilter()
    state = django_filters.ChoiceFilter(choices=choices(BatchState))


class Batches(generics.ListAPIView[Batch]):
    """Batches of images, newest first."""

    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = BatchOutput
    filterset_class = BatchFilter
    ordering = ("-created_at", "id")

    def get_queryset(self) -> QuerySet[Batch]:
        return visible.batches(self.request.user)

    @extend_schema(request=BatchInput, responses={201: BatchOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Make an empty batch, of a generator or of a real source. For maintainers."""
        data = BatchInput.parse(request)
        corpus = named(visible.corpora(), "corpus", slug=data["corpus"])
        generator = None
        if data["generator"] is not None:
            known = visible.generators(request.user).filter(corpus=corpus)
            generator = named(known, "generator", slug=data["generator"])
        batch = batch_create(
            corpus=corpus, generator=generator, real_source=data["real_source"], actor=request.user
        )
        return created(BatchOutput(batch), "batch", batch.pk)


class BatchDetail(generics.RetrieveAPIView[Batch]):
    permission_classes = (MaintainerOrReadOnly,)
    serializer_class = BatchOutput
    lookup_url_kwarg = "batch_id"

    def get_queryset(self) -> QuerySet[Batch]:
        return visible.batches(self.request.user)


class BatchAction(APIView):
    permission_classes = (MaintainerOrReadOnly,)

    def batch(self, request: Request, batch_id: uuid.UUID) -> Batch:
        return get_object_or_404(visible.batches(request.user), pk=batch_id)


class BatchSubmit(BatchAction):
    @extend_schema(request=UploadInput, responses=BatchOutput)
    def post(self, request: Request, batch_id: uuid.UUID, **kwargs: Any) -> Response:
        """Give a batch its archive (zip or tar) and queue its check. For maintainers."""
        batch = self.batch(request, batch_id)
        upload = UploadInput.parse_upload(request, visible.uploads(request.user))
        return Response(BatchOutput(batch_submit(batch, upload, actor=request.user)).data)


class PhaseCostOutput(serializers.Serializer[Any]):
    phase = serializers.ChoiceField(choices=choices(Phase))
    n_steps = serializers.IntegerField(help_text="Steps that would run a container.")
    n_reused = serializers.IntegerField(help_text="Steps whose results are there already.")
    container_s = serializers.FloatField(allow_null=True, help_text="Estimated; null without measurements.")
    gpu_s = serializers.FloatField(allow_null=True)
    cost = serializers.FloatField(allow_null=True, help_text="In `currency`; null where no price is set.")


class BenchmarkPreviewOutput(serializers.Serializer[Any]):
    benchmark = serializers.CharField(source="benchmark.slug")
    place = serializers.ChoiceField(
        choices=["open", "waiting", "republished", "first", "pool"],
        help_text="It joins the open window; waits for an edition that is cut anew, being older than the "
        "frontier or further images; waits for the first edition; or joins the pool of reals.",
    )
    window = serializers.IntegerField(allow_null=True)
    closes = serializers.BooleanField(help_text="The open window is full with it.")
    needs_approval = serializers.BooleanField(help_text="Training then waits for a maintainer.")
    n_detectors = serializers.IntegerField()
    arrival = PhaseCostOutput(allow_null=True, help_text="The first contacts.")
    closing = PhaseCostOutput(
        many=True, help_text="Training and scoring on the closed window, or on the edition that is cut anew."
    )
    warnings = serializers.ListField(child=serializers.CharField())


class PreviewOutput(serializers.Serializer[Any]):
    batch = serializers.UUIDField(source="batch.pk")
    needs_reason = serializers.BooleanField(help_text="The shortcut audit is beyond its bound.")
    currency = serializers.CharField()
    benchmarks = BenchmarkPreviewOutput(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    blockers = serializers.ListField(child=serializers.CharField(), help_text="Why it can't be published.")


class BatchPreview(APIView):
    permission_classes = (MaintainerOnly,)

    @extend_schema(responses=PreviewOutput)
    def get(self, request: Request, batch_id: uuid.UUID) -> Response:
        """What publishing a batch would start, and its estimated cost. For maintainers."""
        batch = get_object_or_404(visible.batches(request.user), pk=batch_id)
        return Response(PreviewOutput(publication_preview(batch)).data)


class PublishInput(Input):
    reason = serializers.CharField(
        max_length=2_000,
        allow_blank=True,
        default="",
        help_text="Needed where the shortcut audit is beyond its bound; readers see it.",
    )


class BatchPublish(BatchAction):
    @extend_schema(request=PublishInput, responses=BatchOutput)
    def post(self, request: Request, batch_id: uuid.UUID, **kwargs: Any) -> Response:
        """Make a sealed batch part of its corpus; every active detector meets a newcomer. For maintainers."""
        batch = self.batch(request, batch_id)
        return Response(
            BatchOutput(batch_publish(batch, actor=request.user, **PublishInput.parse(request))).data
        )
