"""Routes of arrivals: how generators were met, and webhooks."""

from django.urls import path

from leaderboard.api.arrivals import ArrivalsView, GeneratorResults
from leaderboard.api.webhooks import WebhookDeliveries, WebhookDetail, WebhookPing, Webhooks

urlpatterns = [
    path("benchmarks/<slug:slug>/arrivals/", ArrivalsView.as_view(), name="arrivals"),
    path(
        "generators/<slug:corpus>/<slug:slug>/results/",
        GeneratorResults.as_view(),
        name="generator-results",
    ),
    path("webhooks/", Webhooks.as_view(), name="webhooks"),
    path("webhooks/<uuid:webhook_id>/", WebhookDetail.as_view(), name="webhook"),
    path("webhooks/<uuid:webhook_id>/ping/", WebhookPing.as_view(), name="webhook-ping"),
    path("webhooks/<uuid:webhook_id>/deliveries/", WebhookDeliveries.as_view(), name="webhook-deliveries"),
]
