"""What has arrived, and how detectors met each generator. Read-only; undefined is null."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.results import EntryOutput, EstimateOutput
from leaderboard.selectors import visible
from leaderboard.selectors.arrivals import arrivals
from leaderboard.selectors.generator_page import find_generator, generator_report
from leaderboard.selectors.selection import PAGE_ROWS
from leaderboard.selectors.views import View


class PlaceOutput(serializers.Serializer[Any]):
    """Where a generator stands in the newest edition."""

    window = serializers.IntegerField(allow_null=True, help_text="Null while it waits for an edition.")
    is_open = serializers.BooleanField(help_text="In the open window: scored, not trained on.")


class MetOutput(serializers.Serializer[Any]):
    """First contacts of the public detectors."""

    n_met = serializers.IntegerField()
    n_prospective = serializers.IntegerField(
        help_text="Of detectors that were sealed before the generator's images were published."
    )
    n_coming = serializers.IntegerField(help_text="First contacts that are still to be made.")
    best = serializers.FloatField(allow_null=True)
    median = serializers.FloatField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)


class ArrivalOutput(serializers.Serializer[Any]):
    corpus = serializers.CharField(source="generator.corpus.slug")
    slug = serializers.CharField(source="generator.slug")
    name = serializers.CharField(source="generator.name")
    family = serializers.CharField(source="generator.family")
    release_date = serializers.DateField(source="generator.release_date")
    published_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(source="generator.withdrawn_at", allow_null=True)
    place = PlaceOutput()
    met = MetOutput(help_text="Empty for a generator that was withdrawn.")


class ArrivalsOutput(serializers.Serializer[Any]):
    benchmark = serializers.CharField(source="benchmark.slug")
    simulated = serializers.BooleanField(source="benchmark.corpus.simulated")
    rows = ArrivalOutput(many=True, help_text="The newest publication first.")


class MeetingContactOutput(serializers.Serializer[Any]):
    """A first contact. It is final."""

    estimate = EstimateOutput()
    window = serializers.IntegerField(help_text="The last window that had been trained on.")
    prospective = serializers.BooleanField()
    at = serializers.DateTimeField()


class NowOutput(serializers.Serializer[Any]):
    """The newest score of the run that stands on the board."""

    estimate = EstimateOutput()
    window = serializers.IntegerField(help_text="The last window that had been trained on.")
    seen = serializers.BooleanField(help_text="The generator's window was among those trained on.")


class MeetingOutput(serializers.Serializer[Any]):
    entry = EntryOutput(help_text="With its rank on the leaderboard.")
    contact = MeetingContactOutput(allow_null=True)
    now = NowOutput(allow_null=True)
    rank = serializers.IntegerField(allow_null=True, help_text="By first contact with this generator.")
    rank_best = serializers.IntegerField(allow_null=True)
    rank_worst = serializers.IntegerField(allow_null=True)


class NullScoreOutput(serializers.Serializer[Any]):
    null_row = serializers.CharField()
    auroc = serializers.FloatField()


class SpreadOutput(serializers.Serializer[Any]):
    """How the AUROCs of first contacts lie, null rows left out."""

    n = serializers.IntegerField()
    least = serializers.FloatField()
    quarter = serializers.FloatField()
    median = serializers.FloatField()
    three_quarters = serializers.FloatField()
    most = serializers.FloatField()
    null_rows = NullScoreOutput(many=True)


class OnBenchmarkOutput(serializers.Serializer[Any]):
    benchmark = serializers.CharField(source="benchmark.slug")
    place = PlaceOutput()
    met = MetOutput()
    spread = SpreadOutput(allow_null=True, help_text="Null before the first contact.")
    page = serializers.IntegerField()
    n_pages = serializers.IntegerField()
    n_rows = serializers.IntegerField(help_text="On all pages.")
    rows = MeetingOutput(many=True, help_text="The best first contact first; those without one last.")


class PublishedBatchOutput(serializers.Serializer[Any]):
    published_at = serializers.DateTimeField()
    n_train = serializers.IntegerField()
    n_eval = serializers.IntegerField()
    audit = serializers.JSONField(help_text="The shortcut audit; see docs/data.md.")
    publication_reason = serializers.CharField(
        allow_blank=True, help_text="Why it was published although the audit was beyond its bound."
    )


class GeneratorResultsOutput(serializers.Serializer[Any]):
    corpus = serializers.CharField(source="generator.corpus.slug")
    slug = serializers.CharField(source="generator.slug")
    name = serializers.CharField(source="generator.name")
    family = serializers.CharField(source="generator.family")
    release_date = serializers.DateField(source="generator.release_date")
    source = serializers.CharField(source="generator.source")  # type: ignore[assignment]
    licence = serializers.CharField(source="generator.licence")
    simulated = serializers.BooleanField(source="generator.corpus.simulated")
    withdrawn_at = serializers.DateTimeField(source="generator.withdrawn_at", allow_null=True)
    withdrawal_reason = serializers.CharField(source="generator.withdrawal_reason")
    published_at = serializers.DateTimeField(allow_null=True)
    n_train = serializers.IntegerField()
    n_eval = serializers.IntegerField()
    samples = serializers.SerializerMethodField()
    batches = PublishedBatchOutput(many=True, help_text="The newest publication first.")
    benchmarks = OnBenchmarkOutput(many=True, help_text="Empty for a generator that was withdrawn.")

    @extend_schema_field({"type": "string", "nullable": True})
    def get_samples(self, report: Any) -> str | None:
        """The address of a picture of samples, where the licence lets everybody see one."""
        if not report.samples:
            return None
        generator = report.generator
        return reverse("samples", args=[generator.corpus.slug, generator.slug, report.samples])


class ArrivalsView(APIView):
    @extend_schema(responses=ArrivalsOutput, operation_id="arrivals")
    def get(self, request: Request, slug: str) -> Response:
        """What was published on a benchmark, newest first, and how its detectors have met it."""
        benchmark = get_object_or_404(visible.benchmarks(), slug=slug)
        return Response(ArrivalsOutput(arrivals(benchmark)).data)


class GeneratorResults(APIView):
    @extend_schema(
        responses=GeneratorResultsOutput,
        parameters=[OpenApiParameter("page", int, description=f"Of {PAGE_ROWS} rows.")],
        operation_id="generator_results",
    )
    def get(self, request: Request, corpus: str, slug: str) -> Response:
        """A generator with its audit, and each detector's score on it: at first contact, and now."""
        generator = find_generator(corpus, slug, request.user)
        if generator is None:
            raise Http404
        page = View.of(request.query_params).page
        return Response(GeneratorResultsOutput(generator_report(generator, page)).data)
