"""Routes: pages at the root, the API under /api/v1/, its documentation at /api/docs/, health and metrics."""

from django.urls import URLPattern, URLResolver, include, path

from leaderboard.pages import operation

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("leaderboard.api.urls")),
    path("health/live", operation.live, name="health-live"),
    path("health/ready", operation.ready, name="health-ready"),
    path("metrics", operation.metrics, name="metrics"),
    path("", include("leaderboard.pages.urls")),
]

handler400 = "leaderboard.api.errors.handler400"
handler500 = "leaderboard.api.errors.handler500"
