"""Routes of arrivals: the page and the feed, generators, and how readers hear of them."""

from django.urls import path
from django.views.decorators.http import require_safe

from leaderboard.pages import arrivals, generators, news, notifications, webhooks

urlpatterns = [
    path("b/<slug:slug>/arrivals/", arrivals.arrivals, name="arrivals"),
    path("b/<slug:slug>/arrivals.atom", require_safe(arrivals.ArrivalsFeed()), name="arrivals-feed"),
    path("b/<slug:slug>/news/", news.subscribe, name="subscribe"),
    path("c/<slug:corpus>/generators/<slug:slug>/", generators.generator, name="generator"),
    path("c/<slug:corpus>/generators/<slug:slug>/samples/<str:key>", generators.samples, name="samples"),
    path("news/<str:token>/confirm/", news.confirm, name="subscription-confirm"),
    path("news/<str:token>/unsubscribe/", news.unsubscribe, name="unsubscribe"),
    path("notifications/", notifications.notifications, name="notifications"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/<uuid:webhook_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:webhook_id>/ping/", webhooks.ping, name="webhook-ping"),
    path("webhooks/<uuid:webhook_id>/delete/", webhooks.delete, name="webhook-delete"),
]
