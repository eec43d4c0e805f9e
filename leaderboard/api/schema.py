"""How the OpenAPI document is made."""

from __future__ import annotations

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_standardized_errors.openapi import AutoSchema
from rest_framework import serializers

from protocols.errors import CATALOGUE


class ErrorItem(serializers.Serializer[Any]):
    code = serializers.ChoiceField(choices=sorted(CATALOGUE), help_text="See docs/errors.md.")
    detail = serializers.CharField(help_text="What is wrong, and where.")
    fix = serializers.CharField(help_text="What to do about it.")
    attr = serializers.CharField(allow_null=True, help_text="The field that is wrong.")


class ErrorAnswer(serializers.Serializer[Any]):
    """Every failure."""

    type = serializers.ChoiceField(choices=["client_error", "server_error", "validation_error"])
    # The framework uses the name for what validation finds, and a field shadows it only in the document.
    errors = ErrorItem(many=True)  # type: ignore[assignment]


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]
    target_class = "leaderboard.api.auth.TokenAuthentication"
    priority = 1


class Schema(AutoSchema):
    """Documents the error answers with the one error shape."""

    def _get_error_response_serializer(self, status_code: str) -> type[ErrorAnswer]:
        return ErrorAnswer

    def _should_add_error_response(self, responses: dict[str, object], status_code: str) -> bool:
        if status_code in ("409", "413"):
            return self.method == "POST" and status_code not in responses
        return bool(super()._should_add_error_response(responses, status_code))
