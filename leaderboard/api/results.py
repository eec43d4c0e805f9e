"""The numbers of the pages: leaderboards, first contact and detectors. Read-only; undefined is null."""

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

from leaderboard.board import PERIODS
from leaderboard.models import NullRow
from leaderboard.models.base import choices
from leaderboard.selectors import boards, contacts, detectors, selection, visible
from leaderboard.selectors.curves import published_threshold
from leaderboard.selectors.detectors import Asked
from leaderboard.selectors.views import PRETRAINING, TRACKS, View
from protocols.contract import Phase
from protocols.horizon import Outcome
from protocols.states import RunState, StepState

FRACTION = "From 0 to 1."


class EstimateOutput(serializers.Serializer[Any]):
    """A value with its 95 % interval over images."""

    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class AverageOutput(serializers.Serializer[Any]):
    """A period's AUROC, averaged over the steps that have a next window."""

    value = serializers.FloatField(source="estimate.value", allow_null=True)
    low = serializers.FloatField(source="estimate.low", allow_null=True)
    high = serializers.FloatField(source="estimate.high", allow_null=True)
    paper_value = serializers.FloatField(
        allow_null=True, help_text="The paper-compatible mean over all windows, the last one included."
    )
    generators_low = serializers.FloatField(
        source="generators.low", allow_null=True, help_text="95 %, over generators."
    )
    generators_high = serializers.FloatField(source="generators.high", allow_null=True)


class TimelineGeneratorOutput(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    family = serializers.CharField()
    release_date = serializers.DateField()
    window = serializers.IntegerField(
        allow_null=True, help_text="Null while it waits for an edition that re-orders."
    )
    is_open = serializers.BooleanField(help_text="In the open window: scored, not trained on.")


class TimelineWindowOutput(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    is_open = serializers.BooleanField()
    generators = serializers.ListField(child=serializers.CharField(), help_text="Slugs, by release.")

    def to_representation(self, window: Any) -> dict[str, Any]:
        return {
            "index": window.index,
            "is_open": window.is_open,
            "generators": [generator.slug for generator in window.generators],
        }


class TimelineOutput(serializers.Serializer[Any]):
    edition = serializers.IntegerField()
    n_closed = serializers.IntegerField(help_text="How many windows are trained on.")
    windows = TimelineWindowOutput(many=True)
    generators = TimelineGeneratorOutput(many=True)


class EntryOutput(serializers.Serializer[Any]):
    """A detector on the edition that is shown: means over its seeds. Ranks count public entries only."""

    detector = serializers.UUIDField(source="submission_id")
    name = serializers.CharField()
    team = serializers.CharField()
    null_row = serializers.ChoiceField(
        choices=NullRow.choices,
        allow_blank=True,
        help_text="A row that the server makes itself; never ranked.",
    )
    track = serializers.ChoiceField(
        choices=[(track, track) for track in TRACKS], allow_blank=True, help_text="Empty for a null row."
    )
    declared_cutoff = serializers.DateField(allow_null=True)
    is_private = serializers.BooleanField()
    is_withdrawn = serializers.BooleanField(help_text="Its team took it back; its published scores stay.")
    run = serializers.IntegerField(source="run_id", help_text="The run of the lowest seed.")
    run_state = serializers.ChoiceField(choices=choices(RunState))
    seeds = serializers.ListField(
        child=serializers.IntegerField(), help_text="Those that have been through all windows."
    )
    spread = serializers.ListField(
        child=serializers.FloatField(),
        allow_null=True,
        help_text="The lowest and the highest headline of several seeds.",
    )
    finished_at = serializers.DateTimeField(allow_null=True)
    rank = serializers.IntegerField(
        allow_null=True, help_text="Shared by what a paired test can't tell apart."
    )
    rank_best = serializers.IntegerField(
        allow_null=True, help_text="The best rank that the intervals leave open."
    )
    rank_worst = serializers.IntegerField(allow_null=True)
    n_windows = serializers.IntegerField(help_text="How many windows the averages are over.")
    next = AverageOutput(help_text="On the window after the last one trained on: the headline.")
    past = AverageOutput(help_text="On all windows trained on.")
    whole = AverageOutput(help_text="On past and next together.")
    means = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text="The other metrics of next, averaged over time, by name.",
    )


class KeptOutput(serializers.Serializer[Any]):
    """On benchmarks with continual training; null on others. Ranks count public entries only."""

    forgetting = serializers.FloatField(allow_null=True, help_text="Above 0: it forgot.")
    forgetting_rank = serializers.IntegerField(allow_null=True, help_text="Least forgetting first.")
    backward = serializers.FloatField(allow_null=True, help_text="Below 0: later training hurt.")
    backward_rank = serializers.IntegerField(allow_null=True)


class FocusOutput(serializers.Serializer[Any]):
    """The mean of the first contacts that a family or `prospective` asks for, and of how many."""

    value = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class BoardRowOutput(serializers.Serializer[Any]):
    entry = EntryOutput()
    kept = KeptOutput()
    windows = EstimateOutput(many=True, help_text="Next AUROC on windows 1, 2, … of the timeline.")
    window_ranks = serializers.ListField(
        child=serializers.IntegerField(allow_null=True), help_text="The rank by each of `windows` alone."
    )
    cost_s = serializers.FloatField(
        allow_null=True, help_text="Seconds in containers, with earlier editions."
    )
    focus = FocusOutput(allow_null=True)


class LiveRowOutput(serializers.Serializer[Any]):
    """A run that is under way."""

    detector = serializers.UUIDField(source="submission_id")
    name = serializers.CharField()
    team = serializers.CharField()
    run = serializers.IntegerField(source="run_id")
    run_state = serializers.ChoiceField(choices=choices(RunState))
    progress = serializers.FloatField(help_text=FRACTION)
    n_done = serializers.IntegerField(help_text="Steps that have succeeded.")
    n_steps = serializers.IntegerField()


class BenchmarkNumbers(serializers.Serializer[Any]):
    benchmark = serializers.CharField(source="benchmark.slug")
    simulated = serializers.BooleanField(
        source="benchmark.corpus.simulated", help_text="The images were made by simulation."
    )
    timeline = TimelineOutput(allow_null=True, help_text="Null before the first edition.")


class ComingOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    n_ended = serializers.IntegerField(help_text="Runs that have ended.")
    n_runs = serializers.IntegerField()


class ShownOutput(serializers.Serializer[Any]):
    """Which board this is. ``asof=`` with the digest shows it again, for good."""

    edition = serializers.IntegerField()
    at = serializers.DateTimeField(help_text="Since when it is, or was, the board.")
    digest = serializers.CharField()
    is_present = serializers.BooleanField(help_text="There is no newer one.")
    is_current = serializers.BooleanField(
        help_text="It shows all that has happened; if not, a newer one is made in a moment."
    )


class PagedNumbers(BenchmarkNumbers):
    shown = ShownOutput(allow_null=True, help_text="Null before the first edition.")
    page = serializers.IntegerField(source="view.page")
    n_pages = serializers.IntegerField()
    n_rows = serializers.IntegerField(help_text="Rows that the filters leave, on all pages.")


class LeaderboardOutput(PagedNumbers):
    coming = ComingOutput(allow_null=True, help_text="A newer edition that is being computed.")
    n_stale = serializers.IntegerField(
        help_text="Runs that are being scored anew since a generator was withdrawn or re-dated."
    )
    rows = BoardRowOutput(many=True, help_text="In the order asked for; without a value last.")
    own = BoardRowOutput(many=True, help_text="Private entries that you may see, unranked.")
    live = LiveRowOutput(many=True, help_text="Detectors whose results are still to come.")


class ContactOutput(EstimateOutput):
    prospective = serializers.BooleanField(
        allow_null=True,
        help_text="The image was sealed before the generator's images were published; null: not met yet.",
    )


class ContactRowOutput(serializers.Serializer[Any]):
    entry = EntryOutput()
    cells = ContactOutput(many=True, help_text="In the order of `generators`.")
    focus = FocusOutput(allow_null=True)


class FirstContactMapOutput(PagedNumbers):
    generators = TimelineGeneratorOutput(many=True)
    without = TimelineGeneratorOutput(
        many=True, help_text="The first window, which every detector is trained on from the start."
    )
    rows = ContactRowOutput(many=True)


class ThresholdField(serializers.FloatField):
    def to_representation(self, value: float) -> float:  # type: ignore[override]
        return published_threshold(value)


class ScoresOutput(serializers.Serializer[Any]):
    auroc = EstimateOutput()
    average_precision = serializers.FloatField(allow_null=True)
    accuracy = serializers.FloatField(allow_null=True, help_text="At the threshold 0.5.")
    balanced_accuracy = serializers.FloatField(allow_null=True)
    tnr = serializers.FloatField(allow_null=True, help_text="Accuracy on reals.")
    recall = serializers.FloatField(allow_null=True, help_text="Accuracy on fakes.")
    tpr_at_fpr_1 = serializers.FloatField(allow_null=True)
    tpr_at_fpr_5 = serializers.FloatField(allow_null=True)
    equal_error_rate = serializers.FloatField(allow_null=True)
    brier = serializers.FloatField(allow_null=True)
    calibration_error = serializers.FloatField(allow_null=True, help_text="Over 15 bins.")
    past_threshold = ThresholdField(
        allow_null=True, help_text="Chosen on past windows; of `next` alone, as the other `past_…`."
    )
    past_balanced_accuracy = serializers.FloatField(allow_null=True)
    past_tnr = serializers.FloatField(allow_null=True)
    past_recall = serializers.FloatField(allow_null=True)
    best_threshold = ThresholdField(
        allow_null=True, help_text="The best one for these very images: an oracle, never ranked."
    )
    best_balanced_accuracy = serializers.FloatField(allow_null=True)


class WindowPeriodsOutput(serializers.Serializer[Any]):
    window = serializers.IntegerField(help_text="The last window trained on.")
    next = ScoresOutput()
    past = ScoresOutput()
    whole = ScoresOutput()


class GeneratorScoresOutput(serializers.Serializer[Any]):
    generator = TimelineGeneratorOutput()
    before = ScoresOutput(help_text="At first contact.")
    after = ScoresOutput(help_text="Right after training on its window.")
    last = ScoresOutput(help_text="After the last window.")
    prospective = serializers.BooleanField(
        allow_null=True, help_text="Of the first contact: the image was sealed before the publication."
    )


class TransferOutput(serializers.Serializer[Any]):
    """Over closed windows; a window's score is the mean AUROC of its generators."""

    forgetting = serializers.FloatField(allow_null=True, help_text="Above 0: it forgot.")
    backward = serializers.FloatField(allow_null=True, help_text="Below 0: later training hurt.")
    forward = serializers.FloatField(allow_null=True, help_text="The next window above chance.")


class HorizonPointOutput(serializers.Serializer[Any]):
    checkpoint = serializers.IntegerField(help_text="The last window trained on.")
    generator = serializers.CharField(help_text="Slug.")
    lag_months = serializers.FloatField(help_text="From the frontier to the release; above 0: newer.")
    auroc = serializers.FloatField()


class HorizonLevelOutput(serializers.Serializer[Any]):
    """A step of the curve, from one lag through another, with a 95 % interval over generators."""

    start_months = serializers.FloatField()
    end_months = serializers.FloatField()
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n_points = serializers.IntegerField()
    n_generators = serializers.IntegerField()


class ShelfLifeOutput(serializers.Serializer[Any]):
    """Where the curve falls below 0.9."""

    outcome = serializers.ChoiceField(choices=choices(Outcome))
    months = serializers.FloatField(
        allow_null=True, help_text="0: below from the start. Null: it held, or there is nothing newer."
    )
    held_months = serializers.FloatField(allow_null=True, help_text="The last lag at which it still held.")
    observed_months = serializers.FloatField(allow_null=True, help_text="The longest lag there is.")


class HorizonOutput(serializers.Serializer[Any]):
    """How the detector ages; the curve is the isotonic regression of the points above lag 0."""

    points = HorizonPointOutput(many=True)
    curve = HorizonLevelOutput(many=True)
    shelf_life = ShelfLifeOutput()


class StepCostOutput(serializers.Serializer[Any]):
    window = serializers.IntegerField()
    phase = serializers.ChoiceField(choices=choices(Phase))
    state = serializers.ChoiceField(choices=choices(StepState))
    reused = serializers.BooleanField(help_text="The same work had been done; no container ran.")
    container_s = serializers.FloatField(allow_null=True)
    total_s = serializers.FloatField(allow_null=True, help_text="With staging, collecting and scoring.")
    generator = serializers.CharField(help_text="For the first contact with a single one: its slug.")
    key = serializers.CharField(help_text="What the result is kept under; empty before the step is ready.")
    state_hash = serializers.CharField(help_text="The content of the state that it left or scored.")


class SeedRunOutput(serializers.Serializer[Any]):
    run = serializers.IntegerField(source="run_id")
    seed = serializers.IntegerField()
    state = serializers.ChoiceField(choices=choices(RunState))
    finished_at = serializers.DateTimeField(allow_null=True)
    next = AverageOutput()
    past = AverageOutput()
    whole = AverageOutput()
    means = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField(allow_null=True)),
        help_text="The other metrics averaged over time, by period and name.",
    )


class SeedStateOutput(serializers.Serializer[Any]):
    seed = serializers.IntegerField()
    state = serializers.ChoiceField(choices=choices(RunState))


class RanOnOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    manifest_hash = serializers.CharField()
    runs = SeedStateOutput(many=True)


class MountedOutput(serializers.Serializer[Any]):
    window = serializers.IntegerField()
    manifest = serializers.CharField(help_text="SHA-256 of the list of training images.")
    n_images = serializers.IntegerField()


class LineageOutput(serializers.Serializer[Any]):
    protocol_version = serializers.IntegerField()
    editions = RanOnOutput(many=True, help_text="Those that it ran on, oldest first.")
    windows = MountedOutput(many=True, help_text="What the edition that is shown mounts.")


class RocPointOutput(serializers.Serializer[Any]):
    fpr = serializers.FloatField()
    tpr = serializers.FloatField()
    threshold = serializers.FloatField(allow_null=True, help_text="Null where everything is called fake.")


class OperatingPointOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    threshold = serializers.FloatField()
    fpr = serializers.FloatField()
    tpr = serializers.FloatField()


class HistogramBinOutput(serializers.Serializer[Any]):
    low = serializers.FloatField()
    high = serializers.FloatField()
    fakes = serializers.FloatField(help_text="Share of all fakes.")
    reals = serializers.FloatField(help_text="Share of all reals.")


class ReliabilityBinOutput(serializers.Serializer[Any]):
    low = serializers.FloatField()
    high = serializers.FloatField()
    share = serializers.FloatField(help_text="Of all images.")
    mean_score = serializers.FloatField(allow_null=True, help_text="Null where there are too few images.")
    share_of_fakes = serializers.FloatField(allow_null=True)


class CurvesOutput(serializers.Serializer[Any]):
    """Of one checkpoint on one period; coarse, so that nobody learns an image's label from it."""

    window = serializers.IntegerField(help_text="The last window trained on.")
    period = serializers.ChoiceField(choices=[(period, period) for period in PERIODS])
    n_fakes = serializers.IntegerField()
    n_reals = serializers.IntegerField()
    roc = RocPointOutput(many=True)
    points = OperatingPointOutput(many=True)
    histogram = HistogramBinOutput(many=True)
    reliability = ReliabilityBinOutput(many=True)


class ThenOutput(serializers.Serializer[Any]):
    """How it stood on the board that `asof` names."""

    shown = ShownOutput()
    entry = EntryOutput(allow_null=True, help_text="Null where it was not on that board.")
    n_ranked = serializers.IntegerField()


class DetectorOutput(serializers.Serializer[Any]):
    detector = serializers.UUIDField(source="submission.pk")
    name = serializers.CharField(source="submission.name")
    benchmark = serializers.CharField(source="submission.benchmark.slug")
    simulated = serializers.BooleanField(source="submission.benchmark.corpus.simulated")
    description = serializers.CharField(source="submission.description")
    image_id = serializers.CharField(source="submission.image_id", help_text="sha256: of the image's config.")
    image_bytes = serializers.IntegerField(source="submission.image_bytes")
    phases = serializers.ListField(
        source="submission.phases", child=serializers.ChoiceField(choices=choices(Phase))
    )
    paper_url = serializers.CharField(source="submission.paper_url")
    code_url = serializers.CharField(source="submission.code_url")
    declared_cutoff = serializers.DateField(source="submission.declared_cutoff", allow_null=True)
    sealed_at = serializers.DateTimeField(source="submission.sealed_at", allow_null=True)
    entry = EntryOutput(allow_null=True)
    n_ranked = serializers.IntegerField(help_text="How many detectors the rank is among.")
    is_current = serializers.BooleanField(
        help_text="The rank shows all that has happened; if not, it is made anew in a moment."
    )
    then = ThenOutput(allow_null=True)
    run = SeedRunOutput(allow_null=True, help_text="The one that all below is of.")
    runs = SeedRunOutput(many=True, help_text="On the edition that is shown, by seed.")
    timeline = TimelineOutput(allow_null=True)
    matrix = serializers.ListField(
        child=EstimateOutput(many=True),
        help_text="R: a row for each window trained, a column for each of the timeline's generators.",
    )
    periods = WindowPeriodsOutput(many=True)
    generators = GeneratorScoresOutput(many=True)
    transfer = TransferOutput(allow_null=True)
    frontiers = serializers.ListField(
        child=serializers.DateField(), help_text="The newest release trained on by the end of each window."
    )
    horizon = HorizonOutput(allow_null=True)
    cost_s = serializers.FloatField(
        allow_null=True, help_text="Seconds in containers so far, with earlier editions."
    )
    costs = StepCostOutput(many=True)
    curves = CurvesOutput(allow_null=True)
    lineage = LineageOutput(allow_null=True)


VIEW = [
    OpenApiParameter("sort", str, description="A column, with `-` before it for highest first."),
    OpenApiParameter("q", str, description="Words in the name of the detector or of its team."),
    OpenApiParameter("track", str, enum=TRACKS),
    OpenApiParameter("pretraining", str, enum=PRETRAINING, description="What is declared of it."),
    OpenApiParameter("family", str, description="A family of generators: rows get their mean first contact."),
    OpenApiParameter("prospective", bool, description="Look at prospective first contacts alone."),
    OpenApiParameter("seeds", int, description="The fewest seeds."),
    OpenApiParameter("page", int, description=f"Of {selection.PAGE_ROWS} rows."),
    OpenApiParameter(
        "asof", str, description="A date, a moment, `edition-N` or the first digits of a board's digest."
    ),
]


ASKED = [
    OpenApiParameter("seed", int, description="Of the run whose details are asked for; else the lowest."),
    OpenApiParameter("window", int, description="Of the checkpoint that `curves` are of."),
    OpenApiParameter("period", str, enum=PERIODS, description="That `curves` are on; else `next`."),
    OpenApiParameter("asof", str, description="Asks for the standing `then`, as on the leaderboard."),
]


class LeaderboardView(APIView):
    @extend_schema(responses=LeaderboardOutput, parameters=VIEW, operation_id="leaderboard")
    def get(self, request: Request, slug: str) -> Response:
        """A page of the leaderboard: averages over time, ranks, every Next window, cost."""
        benchmark = get_object_or_404(visible.benchmarks(), slug=slug)
        board = boards.leaderboard(benchmark, request.user, View.of(request.query_params))
        if board.shown is None and board.view.asof:
            raise Http404
        return Response(LeaderboardOutput(board).data)


class FirstContactView(APIView):
    @extend_schema(responses=FirstContactMapOutput, parameters=VIEW, operation_id="first_contact")
    def get(self, request: Request, slug: str) -> Response:
        """Every detector's AUROC on every generator before it could learn from it, by pages."""
        benchmark = get_object_or_404(visible.benchmarks(), slug=slug)
        contact = contacts.first_contact(benchmark, View.of(request.query_params))
        if contact.shown is None and contact.view.asof:
            raise Http404
        return Response(FirstContactMapOutput(contact).data)


class DetectorView(APIView):
    @extend_schema(responses=DetectorOutput, parameters=ASKED, operation_id="detector")
    def get(self, request: Request, submission_id: uuid.UUID) -> Response:
        """A detector: the matrix R, periods over time, each generator, curves, transfer, lineage and cost."""
        found = detectors.detector(submission_id, request.user, Asked.of(request.query_params))
        if found is None:
            raise Http404
        return Response(DetectorOutput(found).data)
