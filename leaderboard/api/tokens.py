"""Tokens: what scripts show instead of a password. And who is asking."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from leaderboard.api.auth import TokenAuthentication
from leaderboard.api.base import Input
from leaderboard.api.teams import TeamOutput
from leaderboard.api.throttling import SignInThrottle, UserThrottle
from leaderboard.models import AccessToken, User
from leaderboard.selectors.teams import own_teams, team_rows
from leaderboard.services.accounts import NewToken, token_create, token_for_password, tokens_revoke
from leaderboard.services.teams import personal_team
from protocols.errors import RequestError

# For so long wrong passwords of one account are counted (django-allauth's ``login_failed``).
PAUSE_S = 300


class TokenInput(Input):
    username = serializers.CharField(
        max_length=150, default="", help_text="Or an address; without one a session says who asks."
    )
    password = serializers.CharField(max_length=500, trim_whitespace=False, default="")
    name = serializers.RegexField(
        r"^[^\x00-\x1f\x7f]*$", max_length=80, allow_blank=True, default="", help_text="To know it by."
    )
    days = serializers.IntegerField(
        min_value=1, max_value=366, default=30, help_text="How long the token is valid."
    )


class NewTokenOutput(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Shown once; the server keeps only its hash.")
    expires_at = serializers.DateTimeField()
    handle = serializers.UUIDField(help_text="What it is revoked by.")
    name = serializers.CharField()


class TokenOutput(serializers.ModelSerializer[AccessToken]):
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry")
    is_current = serializers.SerializerMethodField(help_text="Whether this request came with it.")

    class Meta:
        model = AccessToken
        fields = ["handle", "name", "created_at", "expires_at", "last_used_at", "is_current"]

    def get_is_current(self, token: AccessToken) -> bool:
        return bool(token == self.context["request"].auth)


class Tokens(generics.ListAPIView[AccessToken]):
    """Your tokens, newest first, without what they are."""

    serializer_class = TokenOutput
    ordering = ("-created", "handle")

    def get_authenticators(self) -> list[BaseAuthentication]:
        # Old or broken credentials must not keep anybody from asking for new ones. And a token makes
        # no other: one that leaked could not be got rid of.
        if self.request is not None and self.request.method == "POST":
            return [SessionAuthentication()]
        return super().get_authenticators()

    def get_permissions(self) -> list[BasePermission]:
        return [AllowAny()] if self.request.method == "POST" else [IsAuthenticated()]

    def get_throttles(self) -> list[BaseThrottle]:
        return [SignInThrottle()] if self.request.method == "POST" else [UserThrottle()]

    def get_queryset(self) -> QuerySet[AccessToken]:
        if getattr(self, "swagger_fake_view", False):
            return cast("QuerySet[AccessToken]", AccessToken.objects.none())
        found = AccessToken.objects.filter(user=cast(User, self.request.user))
        return cast("QuerySet[AccessToken]", found)

    @extend_schema(request=TokenInput, responses={201: NewTokenOutput})
    def post(self, request: Request) -> Response:
        """Make a token for a user name and a password, or for the session of a page."""
        data = TokenInput.parse(request)
        ttl = timedelta(days=data["days"])
        if data["username"] or data["password"]:
            token = self._for_password(request, data, ttl)
        elif isinstance(request.user, User):
            token = token_create(request.user, ttl=ttl, name=data["name"])
        else:
            raise RequestError("not_authenticated", "Send a user name and a password.")
        return Response(NewTokenOutput(token).data, status=201)

    def _for_password(self, request: Request, data: dict[str, Any], ttl: timedelta) -> NewToken:
        try:
            return token_for_password(
                username=data["username"],
                password=data["password"],
                ttl=ttl,
                name=data["name"],
                request=request._request,
            )
        except RequestError as error:
            if error.code == "throttled":
                raise Throttled(PAUSE_S, error.detail) from error
            raise

    @extend_schema(request=None, responses={204: None}, operation_id="tokens_destroy_all")
    def delete(self, request: Request) -> Response:
        """Revoke all your tokens, that of this very request too."""
        tokens_revoke(cast(User, request.user))
        return Response(status=204)


class TokenDetail(APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, handle: uuid.UUID) -> Response:
        """Revoke one of your tokens."""
        user = cast(User, request.user)
        get_object_or_404(AccessToken.objects.filter(user=user), handle=handle).delete()
        return Response(status=204)


class CurrentToken(APIView):
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Make the token of this very request invalid."""
        request.auth.delete()
        return Response(status=204)


class MeOutput(serializers.Serializer[Any]):
    username = serializers.CharField()
    email = serializers.CharField()
    is_maintainer = serializers.BooleanField()
    teams = TeamOutput(many=True, help_text="The personal one first.")
    token = TokenOutput(allow_null=True, help_text="That of this request; null with a session.")


class Me(APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=MeOutput)
    def get(self, request: Request) -> Response:
        """Who you are, your teams with what they have left, and how long your token is valid."""
        user = cast(User, request.user)
        personal_team(user)
        token = request.auth if isinstance(request.auth, AccessToken) else None
        return Response(
            {
                "username": user.username,
                "email": user.email,
                "is_maintainer": user.is_maintainer,
                "teams": TeamOutput(team_rows(own_teams(user), user), many=True).data,
                "token": TokenOutput(token, context={"request": request}).data if token else None,
            }
        )
