"""Routes of the numbers that the pages show."""

from django.urls import path

from leaderboard.api.compare import CompareView
from leaderboard.api.results import DetectorView, FirstContactView, LeaderboardView

urlpatterns = [
    path("benchmarks/<slug:slug>/compare/", CompareView.as_view(), name="compare"),
    path("benchmarks/<slug:slug>/leaderboard/", LeaderboardView.as_view(), name="leaderboard"),
    path("benchmarks/<slug:slug>/first-contact/", FirstContactView.as_view(), name="first-contact"),
    path("detectors/<uuid:submission_id>/", DetectorView.as_view(), name="detector"),
]
