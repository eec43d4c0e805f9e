"""Routes of the API. Each part is included under ``v1/``; what nothing matches is answered as JSON too."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.permissions import AllowAny

from leaderboard.api.benchmarks import (
    BenchmarkDetail,
    Benchmarks,
    EditionApprove,
    EditionDetail,
    EditionPreviewView,
    Editions,
)
from leaderboard.api.corpora import (
    BatchDetail,
    Batches,
    BatchPreview,
    BatchPublish,
    BatchSubmit,
    Corpora,
    CorpusDetail,
    GeneratorDetail,
    GeneratorRedate,
    Generators,
    GeneratorWithdraw,
)
from leaderboard.api.desk import (
    Desk,
    DeskActions,
    DeskArrivals,
    DeskCost,
    DeskFailures,
    DeskQueue,
    DeskStorage,
    DeskWorkers,
)
from leaderboard.api.document import Document
from leaderboard.api.errors import Nowhere
from leaderboard.api.submissions import (
    Events,
    RunDetail,
    Runs,
    StepDetail,
    SubmissionCancel,
    SubmissionDetail,
    SubmissionRetry,
    SubmissionRuns,
    Submissions,
    SubmissionTrial,
    SubmissionUpload,
    SubmissionWithdraw,
)
from leaderboard.api.uploads import UploadDetail, Uploads

core: list[URLPattern | URLResolver] = [
    path("schema/", Document.as_view(), name="schema"),
    path("", include("leaderboard.api.accounts_urls")),
    path("uploads/", Uploads.as_view(), name="uploads"),
    # Without a slash in the end: `curl -T` appends the name of the file to an address that has one.
    path("uploads/<uuid:upload_id>", UploadDetail.as_view(), name="upload"),
    path("corpora/", Corpora.as_view(), name="corpora"),
    path("corpora/<slug:slug>/", CorpusDetail.as_view(), name="corpus"),
    path("generators/", Generators.as_view(), name="generators"),
    path("generators/<slug:corpus>/<slug:slug>/", GeneratorDetail.as_view(), name="generator"),
    path(
        "generators/<slug:corpus>/<slug:slug>/withdraw/",
        GeneratorWithdraw.as_view(),
        name="generator-withdraw",
    ),
    path(
        "generators/<slug:corpus>/<slug:slug>/release-date/",
        GeneratorRedate.as_view(),
        name="generator-redate",
    ),
    path("batches/", Batches.as_view(), name="batches"),
    path("batches/<uuid:batch_id>/", BatchDetail.as_view(), name="batch"),
    path("batches/<uuid:batch_id>/submit/", BatchSubmit.as_view(), name="batch-submit"),
    path("batches/<uuid:batch_id>/preview/", BatchPreview.as_view(), name="batch-preview"),
    path("batches/<uuid:batch_id>/publish/", BatchPublish.as_view(), name="batch-publish"),
    path("benchmarks/", Benchmarks.as_view(), name="benchmarks"),
    path("benchmarks/<slug:slug>/", BenchmarkDetail.as_view(), name="benchmark"),
    path("benchmarks/<slug:slug>/editions/", Editions.as_view(), name="editions"),
    path("benchmarks/<slug:slug>/editions/preview/", EditionPreviewView.as_view(), name="edition-preview"),
    path("benchmarks/<slug:slug>/editions/<int:number>/", EditionDetail.as_view(), name="edition"),
    path(
        "benchmarks/<slug:slug>/editions/<int:number>/approve/",
        EditionApprove.as_view(),
        name="edition-approve",
    ),
    path("submissions/", Submissions.as_view(), name="submissions"),
    path("submissions/<uuid:submission_id>/", SubmissionDetail.as_view(), name="submission"),
    path("submissions/<uuid:submission_id>/upload/", SubmissionUpload.as_view(), name="submission-upload"),
    path("submissions/<uuid:submission_id>/cancel/", SubmissionCancel.as_view(), name="submission-cancel"),
    path("submissions/<uuid:submission_id>/retry/", SubmissionRetry.as_view(), name="submission-retry"),
    path(
        "submissions/<uuid:submission_id>/withdraw/", SubmissionWithdraw.as_view(), name="submission-withdraw"
    ),
    path("submissions/<uuid:submission_id>/runs/", SubmissionRuns.as_view(), name="submission-runs"),
    path("submissions/<uuid:submission_id>/trial/", SubmissionTrial.as_view(), name="submission-trial"),
    path("runs/", Runs.as_view(), name="runs"),
    path("runs/<int:run_id>/", RunDetail.as_view(), name="run"),
    path("steps/<int:step_id>/", StepDetail.as_view(), name="step"),
    path("events/", Events.as_view(), name="events"),
    path("desk/", Desk.as_view(), name="desk"),
    path("desk/arrivals/", DeskArrivals.as_view(), name="desk-arrivals"),
    path("desk/queue/", DeskQueue.as_view(), name="desk-queue"),
    path("desk/workers/", DeskWorkers.as_view(), name="desk-workers"),
    path("desk/failures/", DeskFailures.as_view(), name="desk-failures"),
    path("desk/storage/", DeskStorage.as_view(), name="desk-storage"),
    path("desk/cost/", DeskCost.as_view(), name="desk-cost"),
    path("desk/actions/", DeskActions.as_view(), name="desk-actions"),
    path("", include("leaderboard.api.results_urls")),
    path("", include("leaderboard.api.arrivals_urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("docs/", SpectacularSwaggerView.as_view(url_name="api:schema", permission_classes=[AllowAny])),
    path("v1/", include((core, "api"))),
    re_path("", Nowhere.as_view()),
]
