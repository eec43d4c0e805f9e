"""Submissions, their runs and steps, and what happened to them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, cast

import django_filters
from django.db.models import Avg, Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.base import ErrorField, Filters, Input, UploadInput, created, named
from leaderboard.api.idempotency import idempotent
from leaderboard.models import Benchmark, Event, NullRow, Run, Step, Submission, Team, Trial, User, Visibility
from leaderboard.models.base import choices
from leaderboard.models.submissions import teams_of
from leaderboard.selectors import visible
from leaderboard.selectors.steps import cost_of
from leaderboard.selectors.waits import Wait, wait_of, waits_of
from leaderboard.services.seeds import submission_add_seed
from leaderboard.services.submissions import (
    submission_attach,
    submission_cancel,
    submission_create,
    submission_delete,
    submission_retry,
    submission_withdraw,
)
from leaderboard.services.teams import personal_team
from protocols.contract import Phase
from protocols.states import RunState, SubmissionState

# The largest of PostgreSQL's four-byte integers.
MAX_INT = 2**31 - 1


class SubmissionInput(Input):
    benchmark = serializers.SlugField(max_length=60)
    team = serializers.SlugField(
        max_length=60,
        allow_null=True,
        default=None,
        help_text="One of your teams; null: you alone.",
    )
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    paper_url = serializers.URLField(max_length=200, allow_blank=True, default="")
    code_url = serializers.URLField(max_length=200, allow_blank=True, default="")
    declared_cutoff = serializers.DateField(
        allow_null=True, default=None, help_text="The day of the newest data that pretraining may have seen."
    )
    visibility = serializers.ChoiceField(choices=Visibility.choices, default=Visibility.PUBLIC)
    seed = serializers.IntegerField(min_value=0, max_value=MAX_INT, default=0)


class SubmissionOutput(serializers.ModelSerializer[Submission]):
    owner = serializers.CharField(source="owner.username", read_only=True, help_text="Who entered it.")
    team = serializers.SlugRelatedField[Team](slug_field="slug", read_only=True)
    benchmark = serializers.SlugRelatedField[Benchmark](slug_field="slug", read_only=True)
    null_row = serializers.SerializerMethodField(
        help_text="Which null row of the server it is, shown and never ranked; null for a detector."
    )
    phases = serializers.ListField(child=serializers.ChoiceField(choices=choices(Phase)))
    error = ErrorField()

    class Meta:
        model = Submission
        fields = [
            "id",
            "owner",
            "team",
            "benchmark",
            "name",
            "description",
            "paper_url",
            "code_url",
            "declared_cutoff",
            "visibility",
            "null_row",
            "seed",
            "state",
            "progress",
            "activity",
            "error",
            "archive",
            "archive_bytes",
            "image_id",
            "image_bytes",
            "phases",
            "created_at",
            "sealed_at",
            "accepted_at",
        ]

    @extend_schema_field(serializers.ChoiceField(choices=NullRow.choices, allow_null=True))
    def get_null_row(self, submission: Submission) -> str | None:
        return submission.null_row or None


class StepOutput(serializers.ModelSerializer[Step]):
    generator = serializers.CharField(
        source="unit.generator.slug",
        default=None,
        allow_null=True,
        read_only=True,
        help_text="The generator that arrived and is met here for the first time; else null.",
    )
    timings = serializers.DictField(child=serializers.FloatField(), help_text="Seconds by part.")
    waits_for = serializers.SerializerMethodField(help_text="In words; null unless it waits or is ready.")
    queue_position = serializers.SerializerMethodField(help_text="From 1; null unless it is ready.")
    expected_wait_s = serializers.SerializerMethodField(
        help_text="Seconds until it probably begins, from what such steps took lately; null if unknown."
    )
    error = ErrorField()

    class Meta:
        model = Step
        fields = [
            "id",
            "run",
            "phase",
            "window",
            "generator",
            "state",
            "progress",
            "activity",
            "waits_for",
            "queue_position",
            "expected_wait_s",
            "attempts",
            "reused",
            "gpus",
            "error",
            "timings",
            "ready_at",
            "started_at",
            "finished_at",
        ]

    def get_waits_for(self, step: Step) -> str | None:
        return wait.what_for if (wait := self._wait(step)) else None

    def get_queue_position(self, step: Step) -> int | None:
        return wait.position if (wait := self._wait(step)) else None

    def get_expected_wait_s(self, step: Step) -> float | None:
        return wait.expected_s if (wait := self._wait(step)) else None

    def _wait(self, step: Step) -> Wait | None:
        waits: dict[int, Wait] = self.context["waits"]
        return waits.get(step.pk)


class StepDetailOutput(StepOutput):
    log_tail = serializers.SerializerMethodField(
        help_text="The end of a training step's output, for the owner and maintainers; else null."
    )

    class Meta(StepOutput.Meta):
        fields = [*StepOutput.Meta.fields, "log_tail"]

    def get_log_tail(self, step: Step) -> str | None:
        return step.log_tail if self.context["shows_log"] else None


class RunOutput(serializers.ModelSerializer[Run]):
    benchmark = serializers.CharField(source="edition.benchmark.slug", read_only=True)
    edition = serializers.IntegerField(source="edition.number", read_only=True)
    progress = serializers.FloatField(allow_null=True, help_text="Mean over its steps; null without any.")
    error = ErrorField()

    class Meta:
        model = Run
        fields = [
            "id",
            "submission",
            "benchmark",
            "edition",
            "seed",
            "state",
            "progress",
            "cancel_requested",
            "error",
            "created_at",
            "started_at",
            "finished_at",
        ]


class RunDetailOutput(RunOutput):
    steps = StepOutput(many=True)

    class Meta(RunOutput.Meta):
        fields = [*RunOutput.Meta.fields, "steps"]


class SubmissionDetailOutput(SubmissionOutput):
    waits_for = serializers.CharField(
        allow_null=True, help_text="What it waits for before its first run, in words; else null."
    )
    queue_position = serializers.IntegerField(allow_null=True, help_text="For its check or trial, from 1.")
    expected_wait_s = serializers.FloatField(allow_null=True)
    uploaded_bytes = serializers.IntegerField(allow_null=True, help_text="While its archive is on its way.")
    upload_bytes = serializers.IntegerField(allow_null=True, help_text="What was declared of its archive.")
    cost_s = serializers.FloatField(allow_null=True, help_text="Container seconds of its steps so far.")
    runs = RunDetailOutput(many=True)

    class Meta(SubmissionOutput.Meta):
        fields = [
            *SubmissionOutput.Meta.fields,
            "waits_for",
            "queue_position",
            "expected_wait_s",
            "uploaded_bytes",
            "upload_bytes",
            "cost_s",
            "runs",
        ]


def runs_with_progress(user: Any) -> QuerySet[Run]:
    return visible.runs(user).annotate(progress=Avg("steps__progress"))


def runs_with_steps(user: Any) -> QuerySet[Run]:
    return runs_with_progress(user).prefetch_related("steps__unit__generator")


def run_data(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Runs and their steps, with the steps' places in the queue."""
    runs = list(runs)
    waits = waits_of(step for run in runs for step in run.steps.all())
    return list(RunDetailOutput(runs, many=True, context={"waits": waits}).data)


class SubmissionFilter(Filters):
    benchmark = django_filters.CharFilter(field_name="benchmark__slug")
    owner = django_filters.CharFilter(field_name="owner__username")
    team = django_filters.CharFilter(field_name="team__slug")
    name = django_filters.CharFilter()
    state = django_filters.ChoiceFilter(choices=choices(SubmissionState))
    null_row = django_filters.BooleanFilter(
        method="filter_null_row", label="Only the server's null rows, or only detectors."
    )
    mine = django_filters.BooleanFilter(method="filter_mine", label="Only your teams' own, or only others'.")

    def filter_null_row(self, rows: QuerySet[Submission], name: str, null_row: bool) -> QuerySet[Submission]:
        return rows.exclude(null_row="") if null_row else rows.filter(null_row="")

    def filter_mine(self, rows: QuerySet[Submission], name: str, mine: bool) -> QuerySet[Submission]:
        own = Q(team__in=teams_of(self.request.user.pk))
        return rows.filter(own if mine else ~own)


class Submissions(generics.ListAPIView[Submission]):
    """Public accepted submissions and those of your teams, newest first; maintainers see all."""

    permission_classes = (IsAuthenticatedOrReadOnly,)
    serializer_class = SubmissionOutput
    filterset_class = SubmissionFilter
    ordering = ("-created_at", "id")

    def get_queryset(self) -> QuerySet[Submission]:
        return visible.submissions(self.request.user)

    @extend_schema(request=SubmissionInput, responses={201: SubmissionOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Enter a detector: a draft that waits for its image archive."""
        data = SubmissionInput.parse(request)
        data["benchmark"] = named(visible.benchmarks(), "benchmark", slug=data["benchmark"])
        user = cast(User, request.user)
        data["team"] = _team(user, data["team"])
        submission = submission_create(owner=user, **data)
        return created(SubmissionOutput(submission), "submission", submission.pk)


def _team(user: User, slug: str | None) -> Team:
    """The team that a body names, among the user's own; without a name the user alone."""
    return named(user.teams.all(), "team", slug=slug) if slug else personal_team(user)


class SubmissionDetail(generics.GenericAPIView[Submission]):
    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(responses=SubmissionDetailOutput)
    def get(self, request: Request, submission_id: uuid.UUID) -> Response:
        """A submission with its runs and their steps."""
        submission = get_object_or_404(
            visible.submissions(request.user).select_related("upload"), pk=submission_id
        )
        runs = runs_with_steps(request.user).filter(submission=submission).order_by("-created_at")
        wait, upload = wait_of(submission, has_run=bool(runs)), submission.upload
        data = {
            "waits_for": wait.what_for if wait else None,
            "queue_position": wait.position if wait else None,
            "expected_wait_s": wait.expected_s if wait else None,
            "uploaded_bytes": upload.offset if upload else None,
            "upload_bytes": upload.length if upload else None,
            "cost_s": cost_of(submission),
            "runs": run_data(runs),
        }
        return Response({**SubmissionOutput(submission).data, **data})

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Free an entry's bytes. One that was never accepted is gone; of others the published scores stay."""
        submission_delete(ending(request, submission_id), actor=request.user)
        return Response(status=204)


def managed(request: Request, submission_id: uuid.UUID) -> Submission:
    """A submission that the caller may run: members of its team and maintainers may."""
    submission = get_object_or_404(visible.submissions(request.user), pk=submission_id)
    if not visible.may_manage(request.user, submission):
        raise PermissionDenied
    return submission


def ending(request: Request, submission_id: uuid.UUID) -> Submission:
    """A submission that the caller may take back: who entered it, owners of its team, maintainers may."""
    submission = managed(request, submission_id)
    if not visible.may_end(request.user, submission):
        raise PermissionDenied("Only who entered it and owners of its team may take a submission back.")
    return submission


class SubmissionAction(APIView):
    permission_classes = (IsAuthenticated,)


class SubmissionUpload(SubmissionAction):
    @extend_schema(request=UploadInput, responses=SubmissionOutput)
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Give a draft its image archive (`docker save` or `podman save`).

        The check is queued at once, or as soon as the last byte of the upload has arrived.
        """
        submission = managed(request, submission_id)
        upload = UploadInput.parse_upload(request, visible.uploads(request.user))
        submission = submission_attach(submission, upload, actor=request.user)
        return Response(SubmissionOutput(submission).data)


class SubmissionCancel(SubmissionAction):
    @extend_schema(request=None, responses=SubmissionOutput)
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Stop what is under way. Results that are there stay."""
        submission = submission_cancel(managed(request, submission_id), actor=request.user)
        return Response(SubmissionOutput(submission).data)


class SubmissionRetry(SubmissionAction):
    @extend_schema(request=None, responses=SubmissionOutput)
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Go on after a fault of the platform, from where it stopped."""
        submission = submission_retry(managed(request, submission_id), actor=request.user)
        return Response(SubmissionOutput(submission).data)


class SeedInput(Input):
    seed = serializers.IntegerField(min_value=0, max_value=MAX_INT, help_text="One that it has not run with.")


class SubmissionRuns(SubmissionAction):
    @extend_schema(request=SeedInput, responses={201: RunDetailOutput})
    @idempotent()
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Run an accepted entry with a further seed on the newest edition, for the board to show the spread.

        Editions that open later run all its seeds.
        """
        submission = managed(request, submission_id)
        seed = SeedInput.parse(request)["seed"]
        made = submission_add_seed(submission, seed, actor=request.user)
        run = runs_with_steps(request.user).get(pk=made.pk)
        answer = RunDetailOutput(run, context={"waits": waits_of(run.steps.all())})
        return created(answer, "run", run.pk)


class WithdrawInput(Input):
    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


class SubmissionWithdraw(SubmissionAction):
    @extend_schema(request=WithdrawInput, responses=SubmissionOutput)
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Take an entry back: nothing of it runs any more. Published scores stay, marked as withdrawn."""
        reason = WithdrawInput.parse(request)["reason"]
        submission = submission_withdraw(ending(request, submission_id), actor=request.user, reason=reason)
        return Response(SubmissionOutput(submission).data)


class TrialOutput(serializers.ModelSerializer[Trial]):
    error = ErrorField()

    class Meta:
        model = Trial
        fields = ["phase", "seconds", "peak_memory_bytes", "error", "log", "created_at"]


class SubmissionTrial(SubmissionAction):
    @extend_schema(responses=TrialOutput(many=True))
    def get(self, request: Request, submission_id: uuid.UUID) -> Response:
        """The trial run on sample images, phase by phase, with all that the container printed."""
        submission = managed(request, submission_id)
        return Response(TrialOutput(submission.trials.all(), many=True).data)


class RunFilter(Filters):
    submission = django_filters.UUIDFilter(field_name="submission_id")
    benchmark = django_filters.CharFilter(field_name="edition__benchmark__slug")
    edition = django_filters.NumberFilter(field_name="edition__number")
    state = django_filters.ChoiceFilter(choices=choices(RunState))


class Runs(generics.ListAPIView[Run]):
    """Runs, newest first."""

    permission_classes = (IsAuthenticatedOrReadOnly,)
    serializer_class = RunOutput
    filterset_class = RunFilter
    ordering = ("-created_at", "id")

    def get_queryset(self) -> QuerySet[Run]:
        return runs_with_progress(self.request.user)


class RunDetail(generics.GenericAPIView[Run]):
    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(responses=RunDetailOutput)
    def get(self, request: Request, run_id: int) -> Response:
        """A run with its steps."""
        run = get_object_or_404(runs_with_steps(request.user), pk=run_id)
        return Response(run_data([run])[0])


class StepDetail(generics.GenericAPIView[Step]):
    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(responses=StepDetailOutput)
    def get(self, request: Request, step_id: int) -> Response:
        """A step; the owner and maintainers also get the end of a training step's output."""
        step = get_object_or_404(visible.steps(request.user), pk=step_id)
        # What a container prints while it sees evaluation images is nobody's to read.
        shows_log = step.phase == Phase.TRAIN and visible.may_manage(request.user, step.run.submission)
        context = {"waits": waits_of([step]), "shows_log": shows_log}
        return Response(StepDetailOutput(step, context=context).data)


class EventFilter(Filters):
    submission = django_filters.UUIDFilter(
        method="filter_submission", label="Of a submission, its runs and their steps."
    )
    run = django_filters.NumberFilter(method="filter_run", label="Of a run and its steps.")
    step = django_filters.NumberFilter(field_name="step_id")
    batch = django_filters.UUIDFilter(field_name="batch_id")

    def filter_submission(self, rows: QuerySet[Event], name: str, value: uuid.UUID) -> QuerySet[Event]:
        return rows.filter(Q(submission=value) | Q(run__submission=value) | Q(step__run__submission=value))

    def filter_run(self, rows: QuerySet[Event], name: str, value: int) -> QuerySet[Event]:
        return rows.filter(Q(run=value) | Q(step__run=value))


class EventOutput(serializers.ModelSerializer[Event]):
    class Meta:
        model = Event
        fields = ["id", "submission", "batch", "run", "step", "old", "new", "actor", "reason", "at"]


class Events(generics.ListAPIView[Event]):
    """Every move from a state to the next, oldest first: of your own things; maintainers see all."""

    permission_classes = (IsAuthenticated,)
    serializer_class = EventOutput
    filterset_class = EventFilter
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Event]:
        return visible.events(self.request.user)
