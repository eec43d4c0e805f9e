"""Detectors side by side, as the page of comparisons shows them. Read-only; undefined is null."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.results import EntryOutput, EstimateOutput, TimelineGeneratorOutput
from leaderboard.selectors import visible
from leaderboard.selectors.compare import FEWEST, MOST, comparison


class DifferenceOutput(EstimateOutput):
    """How much more than the first detector, with a paired 95 % interval over images (DeLong)."""

    p_value = serializers.FloatField(allow_null=True, help_text="Two-sided, of this test by itself.")
    differs = serializers.BooleanField(
        help_text="The test tells the two apart, although it is one of many (Holm, 5 %)."
    )


class ComparedCellOutput(serializers.Serializer[Any]):
    estimate = EstimateOutput()
    difference = DifferenceOutput(
        allow_null=True, help_text="Null for the first detector, and where there is nothing to compare."
    )


class TallyOutput(serializers.Serializer[Any]):
    """On how many generators it is better than the first, can't be told apart, and is worse."""

    wins = serializers.IntegerField()
    ties = serializers.IntegerField()
    losses = serializers.IntegerField()


class ComparedOutput(serializers.Serializer[Any]):
    detector = serializers.UUIDField(source="submission.pk")
    name = serializers.CharField(source="submission.name")
    entry = EntryOutput(allow_null=True, help_text="Null before it has a result.")
    headline = DifferenceOutput(
        allow_null=True, help_text="Of Next averaged over time; null for the first, and where one is missing."
    )
    contact = TallyOutput(help_text="At first contact.")
    newest = TallyOutput(help_text="With the newest checkpoint.")


class ComparedGeneratorOutput(serializers.Serializer[Any]):
    """A cell for each detector, in their order."""

    generator = TimelineGeneratorOutput()
    contact = ComparedCellOutput(many=True, help_text="At first contact.")
    newest = ComparedCellOutput(many=True, help_text="With the newest checkpoint.")


class ComparisonOutput(serializers.Serializer[Any]):
    benchmark = serializers.CharField(source="benchmark.slug")
    simulated = serializers.BooleanField(source="benchmark.corpus.simulated")
    detectors = ComparedOutput(many=True, help_text="In the order asked for; the first is the reference.")
    generators = ComparedGeneratorOutput(source="rows", many=True, help_text="In the order of release.")


class CompareView(APIView):
    @extend_schema(
        responses=ComparisonOutput,
        parameters=[
            OpenApiParameter(
                "d",
                uuid.UUID,
                many=True,
                required=True,
                description=f"A detector; {FEWEST} to {MOST} of them. The first is the reference.",
            )
        ],
        operation_id="compare",
    )
    def get(self, request: Request, slug: str) -> Response:
        """Detectors against the first of them, by paired tests: over time, and on each generator."""
        benchmark = get_object_or_404(visible.benchmarks(), slug=slug)
        found = comparison(benchmark, _ids(request.query_params.getlist("d")), request.user)
        if found is None:
            raise Http404
        return Response(ComparisonOutput(found).data)


def _ids(texts: list[str]) -> list[uuid.UUID]:
    """The ids that are asked for, each once. Raises ``ValidationError``."""
    field = serializers.ListField(child=serializers.UUIDField())
    try:
        ids: list[uuid.UUID] = list(dict.fromkeys(field.run_validation(texts)))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"d": "Each is the id of a detector."}) from error
    if not FEWEST <= len(ids) <= MOST:
        raise serializers.ValidationError({"d": f"{FEWEST} to {MOST} different detectors are compared."})
    return ids
