"""Routes of the pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, path

from leaderboard.pages import boards, detectors, generators, submissions, theme

urlpatterns: list[URLPattern | URLResolver] = [
    path("", boards.home, name="home"),
    path("b/<slug:slug>/", boards.leaderboard, name="leaderboard"),
    path("b/<slug:slug>/first-contact/", boards.first_contact, name="first-contact"),
    path("c/<slug:slug>/generators/", generators.generators, name="generators"),
    path("detectors/<uuid:submission_id>/", detectors.detector, name="detector"),
    path("submissions/", submissions.mine, name="submissions"),
    path("submissions/<uuid:submission_id>/", submissions.submission, name="submission"),
    path("submissions/<uuid:submission_id>/cancel/", submissions.cancel, name="submission-cancel"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("theme/", theme.theme, name="theme"),
]
