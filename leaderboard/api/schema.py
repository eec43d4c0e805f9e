"""How the OpenAPI document is made: every answer in it, refusals too, is one that can come.

Schemathesis holds the server to it (tests/leaderboard/api/test_schemathesis.py).
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_standardized_errors.openapi import AutoSchema
from rest_framework import serializers

from protocols.errors import CATALOGUE

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
IDEMPOTENCY_KEY: dict[str, Any] = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]([ -~]*[!-~])?$"},
    "description": "Sent again with the same key within a day, the request makes nothing twice: "
    "it is given the first one's answer.",
}
REPLAYED: dict[str, Any] = {
    "schema": {"type": "string", "enum": ["true"]},
    "description": "There when the answer is that of an earlier request with this Idempotency-Key.",
}
LOCATION: dict[str, Any] = {"schema": {"type": "string"}, "description": "The address of the new thing."}
# Every answer has these; what is counted is said in docs/api.md.
LIMITS: dict[str, Any] = {
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": 'The bounds that were counted: `"user";q=600;w=60` is 600 requests in 60 seconds.',
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": 'What is left of them: `"user";r=599;t=60`, with the seconds until it is whole again.',
    },
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 0},
        "description": "Seconds to wait before the next try.",
    },
}


def shared_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: put the headers of all answers into the document, and name them where
    somebody looks for them: at success, and at what came too often."""
    result["components"]["headers"] = LIMITS
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status.startswith("2") or status == "429":
                    names = LIMITS if status == "429" else ("RateLimit-Policy", "RateLimit")
                    headers = answer.setdefault("headers", {})
                    headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return result


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
    """Documents the error answers with the one error shape, and what creation has in common."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation and self._takes_idempotency_key():
            operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
            headers = operation["responses"]["201"].setdefault("headers", {})
            headers |= {"Idempotency-Replayed": REPLAYED, "Location": LOCATION}
        return operation

    def _takes_idempotency_key(self) -> bool:
        method = getattr(self.view, self.method.lower(), None)
        return bool(getattr(method, "takes_idempotency_key", False))

    def _get_error_response_serializer(self, status_code: str) -> type[ErrorAnswer]:
        return ErrorAnswer

    def _should_add_error_response(self, responses: dict[str, object], status_code: str) -> bool:
        if status_code in responses:
            return False
        # A view names what only it answers: a quota, or the protocol of uploads.
        if status_code in getattr(self.view, "error_statuses", ()):
            return True
        match status_code:
            case "400":
                # Every address can be asked with something that is malformed.
                return True
            case "403":
                # Who may do something depends on the thing, which a class of permissions does not show.
                return bool(self.view.get_authenticators())
            case "409":
                return self.method in CHANGING
            case "413":
                return self.method in ("POST", "PUT", "PATCH")
            case "412" | "423" | "507":
                return False
            case "422":
                return self._takes_idempotency_key()
        return bool(super()._should_add_error_response(responses, status_code))
