"""Routes: pages at the root, the API under /api/v1/, its documentation at /api/docs/."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("leaderboard.api.urls")),
    path("", include("leaderboard.pages.urls")),
]

handler400 = "leaderboard.api.errors.handler400"
handler500 = "leaderboard.api.errors.handler500"
