"""Who is calling, and who may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knox import auth
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from leaderboard.selectors.visible import is_maintainer
from leaderboard.services.accounts import token_used

if TYPE_CHECKING:
    # The framework reads its settings, which name this module, while it loads its views.
    from rest_framework.views import APIView


class TokenAuthentication(auth.TokenAuthentication):  # type: ignore[misc]
    """``Authorization: Token …``. Bytes that no token has are refused before they reach the database."""

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        user, row = super().authenticate_credentials(token)
        token_used(row)
        return user, row


class MaintainerOrReadOnly(BasePermission):
    """Everybody may read; maintainers may write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.method in SAFE_METHODS or is_maintainer(request.user)


class MaintainerOnly(BasePermission):
    """Maintainers alone, also for reading."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return is_maintainer(request.user)
