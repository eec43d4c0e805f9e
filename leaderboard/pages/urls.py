"""Routes of the pages."""

from django.urls import URLPattern, URLResolver, include, path

from leaderboard.pages import (
    batches,
    boards,
    desk,
    desk_editions,
    desk_generators,
    detectors,
    enter,
    generators,
    submissions,
    theme,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", boards.home, name="home"),
    path("b/<slug:slug>/", boards.leaderboard, name="leaderboard"),
    path("b/<slug:slug>/first-contact/", boards.first_contact, name="first-contact"),
    path("c/<slug:slug>/generators/", generators.generators, name="generators"),
    path("detectors/<uuid:submission_id>/", detectors.detector, name="detector"),
    path("enter/", enter.enter, name="enter"),
    path("enter/<uuid:submission_id>/", enter.upload, name="enter-upload"),
    path("submissions/", submissions.mine, name="submissions"),
    path("submissions/<uuid:submission_id>/", submissions.submission, name="submission"),
    path("submissions/<uuid:submission_id>/cancel/", submissions.cancel, name="submission-cancel"),
    path("submissions/<uuid:submission_id>/retry/", submissions.retry, name="submission-retry"),
    path("submissions/<uuid:submission_id>/seed/", submissions.add_seed, name="submission-seed"),
    path("submissions/<uuid:submission_id>/withdraw/", submissions.withdraw, name="submission-withdraw"),
    path("submissions/<uuid:submission_id>/delete/", submissions.delete, name="submission-delete"),
    path("desk/", desk.desk, name="desk"),
    path("desk/editions/<int:edition_id>/approve/", desk.approve, name="desk-approve"),
    path("desk/benchmarks/<slug:slug>/cut/", desk_editions.cut, name="desk-cut"),
    path("desk/arrivals/", desk.arrivals, name="desk-arrivals"),
    path("desk/queue/", desk.queue, name="desk-queue"),
    path("desk/workers/", desk.workers, name="desk-workers"),
    path("desk/failures/", desk.failures, name="desk-failures"),
    path("desk/storage/", desk.storage, name="desk-storage"),
    path("desk/storage/<str:kind>/free/", desk.free, name="desk-free"),
    path("desk/cost/", desk.cost, name="desk-cost"),
    path("desk/cost.csv", desk.cost_csv, name="desk-cost-csv"),
    path("desk/log/", desk.audit_log, name="desk-log"),
    path("desk/batches/", batches.batches, name="desk-batches"),
    path("desk/batches/new/", batches.new, name="desk-batch-new"),
    path("desk/batches/<uuid:batch_id>/", batches.batch, name="desk-batch"),
    path("desk/batches/<uuid:batch_id>/submit/", batches.submit, name="desk-batch-submit"),
    path(
        "desk/batches/<uuid:batch_id>/contact-sheet/", batches.contact_sheet, name="desk-batch-contact-sheet"
    ),
    path("desk/batches/<uuid:batch_id>/publish/", batches.publish, name="desk-batch-publish"),
    path("desk/generators/<slug:corpus>/<slug:slug>/", desk_generators.generator, name="desk-generator"),
    path(
        "desk/generators/<slug:corpus>/<slug:slug>/samples/",
        desk_generators.samples,
        name="desk-generator-samples",
    ),
    path(
        "desk/generators/<slug:corpus>/<slug:slug>/withdraw/",
        desk_generators.withdraw,
        name="desk-generator-withdraw",
    ),
    path(
        "desk/generators/<slug:corpus>/<slug:slug>/release-date/",
        desk_generators.redate,
        name="desk-generator-redate",
    ),
    path("", include("leaderboard.pages.exports_urls")),
    path("", include("leaderboard.pages.arrivals_urls")),
    path("", include("leaderboard.pages.accounts_urls")),
    path("theme/", theme.theme, name="theme"),
]
