"""A user's webhooks: where the server posts what happens. See docs/notifications.md."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from leaderboard.api.base import Input, created, named
from leaderboard.api.idempotency import idempotent
from leaderboard.api.throttling import UserThrottle, WebhookThrottle
from leaderboard.models import Benchmark, Delivery, Hears, Subscription, User
from leaderboard.outbound import MAX_URL_CHARACTERS
from leaderboard.selectors import subscriptions, visible
from leaderboard.services.subscriptions import subscription_end, webhook_create, webhook_ping

WEBHOOK_HEARS = [choice for choice in Hears.choices if choice[0] != Hears.NOTHING]


def _user(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


class WebhookInput(Input):
    url = serializers.CharField(max_length=MAX_URL_CHARACTERS, help_text="https:// or http://, public.")
    benchmark = serializers.SlugField(
        max_length=60, allow_null=True, default=None, help_text="Null: all benchmarks."
    )
    hears = serializers.ChoiceField(
        choices=WEBHOOK_HEARS,
        default=Hears.ALL,
        help_text="Of the board, of the entries of your teams, or of all.",
    )


class WebhookOutput(serializers.ModelSerializer[Subscription]):
    url = serializers.CharField(source="address")
    benchmark = serializers.SlugRelatedField[Benchmark](slug_field="slug", read_only=True, allow_null=True)
    hears = serializers.ChoiceField(choices=WEBHOOK_HEARS, read_only=True)

    class Meta:
        model = Subscription
        fields = ["id", "url", "benchmark", "hears", "created_at"]


class NewWebhookOutput(WebhookOutput):
    secret = serializers.CharField(help_text="With which what is sent is signed. Shown once.")

    class Meta(WebhookOutput.Meta):
        fields = [*WebhookOutput.Meta.fields, "secret"]


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """``id`` is sent as ``Webhook-Id``, the same at every attempt."""

    status = serializers.CharField(help_text="pending, delivered or failed.")

    class Meta:
        model = Delivery
        fields = [
            "id",
            "event_id",
            "event",
            "status",
            "attempts",
            "created_at",
            "last_attempt_at",
            "next_attempt_at",
            "delivered_at",
            "last_status",
            "last_error",
        ]


class WebhookView(APIView):
    permission_classes = (IsAuthenticated,)

    def webhook(self, request: Request, webhook_id: uuid.UUID) -> Subscription:
        return get_object_or_404(subscriptions.webhooks(_user(request)), pk=webhook_id)


class Webhooks(generics.ListAPIView[Subscription]):
    """The caller's own webhooks."""

    permission_classes = (IsAuthenticated,)
    serializer_class = WebhookOutput
    ordering = ("created_at", "id")

    def get_throttles(self) -> list[BaseThrottle]:
        return [UserThrottle(), *([WebhookThrottle()] if self.request.method == "POST" else [])]

    def get_queryset(self) -> QuerySet[Subscription]:
        if getattr(self, "swagger_fake_view", False):
            return Subscription.objects.none()
        return subscriptions.webhooks(_user(self.request))

    @extend_schema(request=WebhookInput, responses={201: NewWebhookOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Make a webhook. Its secret is in this answer and in no other."""
        data = WebhookInput.parse(request)
        benchmark = None
        if data["benchmark"] is not None:
            benchmark = named(visible.benchmarks(), "benchmark", slug=data["benchmark"])
        webhook = webhook_create(
            owner=_user(request), url=data["url"], benchmark=benchmark, hears=data["hears"]
        )
        return created(NewWebhookOutput(webhook), "webhook", webhook.pk)


class WebhookDetail(WebhookView):
    @extend_schema(responses=WebhookOutput)
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """One of the caller's webhooks."""
        return Response(WebhookOutput(self.webhook(request, webhook_id)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Delete a webhook with its log; what was on its way to it is not sent."""
        subscription_end(self.webhook(request, webhook_id))
        return Response(status=204)


class WebhookPing(WebhookView):
    throttle_classes = (UserThrottle, WebhookThrottle)

    @extend_schema(request=None, responses={202: DeliveryOutput})
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Queue a test event for a webhook."""
        return Response(DeliveryOutput(webhook_ping(self.webhook(request, webhook_id))).data, status=202)


class WebhookDeliveries(generics.ListAPIView[Delivery]):
    """What was sent to a webhook, or is on its way, newest first. Kept for 30 days."""

    permission_classes = (IsAuthenticated,)
    serializer_class = DeliveryOutput
    ordering = ("-created_at", "id")

    def get_queryset(self) -> QuerySet[Delivery]:
        if getattr(self, "swagger_fake_view", False):
            return Delivery.objects.none()
        user = _user(self.request)
        webhook = get_object_or_404(subscriptions.webhooks(user), pk=self.kwargs["webhook_id"])
        return subscriptions.deliveries(user, webhook)
