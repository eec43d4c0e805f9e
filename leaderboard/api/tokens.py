"""Tokens: what scripts show instead of a password."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from leaderboard.api.auth import TokenAuthentication
from leaderboard.api.base import Input
from leaderboard.services.accounts import token_for_password


class TokenInput(Input):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=500, trim_whitespace=False)
    days = serializers.IntegerField(
        min_value=1, max_value=366, default=30, help_text="How long the token is valid."
    )


class TokenOutput(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Shown once; the server keeps only its hash.")
    expires_at = serializers.DateTimeField()


class Tokens(APIView):
    # Old or broken credentials must not keep anybody from asking for new ones.
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "tokens"

    @extend_schema(request=TokenInput, responses={201: TokenOutput})
    def post(self, request: Request) -> Response:
        """Make a token for a user name and a password."""
        data = TokenInput.parse(request)
        token = token_for_password(
            username=data["username"],
            password=data["password"],
            ttl=timedelta(days=data["days"]),
            request=request._request,
        )
        return Response(TokenOutput(token).data, status=201)


class CurrentToken(APIView):
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Make the token of this very request invalid."""
        request.auth.delete()
        return Response(status=204)
