"""Every failure under ``/api/`` is one JSON shape with a code of the catalogue.

``{"type": "client_error", "errors": [{"code": …, "detail": …, "fix": …, "attr": …}]}``:
the shape of drf-standardized-errors, and ``fix`` says what to do.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.urls import resolve
from django.views import defaults
from drf_spectacular.utils import extend_schema
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import CLIENT_ERROR, SERVER_ERROR, ErrorResponse
from psycopg.errors import UniqueViolation
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from protocols.errors import CATALOGUE, ErrorEntry, Owner, RequestError, TidemarkError

STATUS_OF_OWNER = {Owner.CALLER: 400, Owner.PARTICIPANT: 400, Owner.MAINTAINER: 409, Owner.PLATFORM: 503}
STATUS = {
    "not_authenticated": 401,
    "authentication_failed": 401,
    "permission_denied": 403,
    "scores_not_shared": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "conflict": 409,
    "idempotency_running": 409,
    "idempotency_mismatch": 422,
    "illegal_transition": 409,
    "upload_offset": 409,
    "upload_incomplete": 409,
    "upload_used": 409,
    "retry_impossible": 409,
    "seed_limit": 409,
    "token_limit": 409,
    "team_limit": 409,
    "team_in_use": 409,
    "last_owner": 409,
    "personal_team": 409,
    "invitation_limit": 409,
    "quota_submissions": 429,
    "quota_runs": 429,
    "quota_bytes": 413,
    "upload_version": 412,
    "body_too_large": 413,
    "upload_size": 413,
    "unsupported_media_type": 415,
    "upload_locked": 423,
    "upload_stalled": 408,
    "upload_checksum": 460,
    "throttled": 429,
    "error": 500,
    "storage_full": 507,
}


def status_of(entry: ErrorEntry) -> int:
    """The HTTP status with which a request that raises this error is answered."""
    return STATUS.get(entry.code, STATUS_OF_OWNER[entry.owner])


class Fault(exceptions.APIException):
    """A :class:`TidemarkError` on its way to the caller."""

    def __init__(self, error: TidemarkError) -> None:
        super().__init__(error.detail, error.code)
        self.status_code = status_of(error.entry)
        if self.status_code == 401:
            self.auth_header = "Token"


def request_id() -> str:
    """The name of the present request in the server's log."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class Handler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, TidemarkError):
            return Fault(exc)
        if isinstance(exc, ObjectDoesNotExist):
            return exceptions.NotFound()
        if isinstance(exc, UnreadablePostError):
            return exceptions.ParseError("The connection broke before the body was whole.")
        if isinstance(exc, IntegrityError) and isinstance(exc.__cause__, UniqueViolation):
            # Two requests made the same thing in the same instant, and the other was first.
            return Fault(RequestError("conflict"))
        return super().convert_known_exceptions(exc)

    def convert_unhandled_exceptions(self, exc: Exception) -> exceptions.APIException:
        if isinstance(exc, exceptions.APIException):
            return exc
        return exceptions.APIException(f"The server failed. Its log knows this request as {request_id()}.")


class Formatter(ExceptionFormatter):
    def format_error_response(self, error_response: ErrorResponse) -> Any:
        answer = asdict(error_response)
        for error in answer["errors"]:
            # A field's error has one of the framework's many codes; to callers it is `invalid`.
            error["code"] = error["code"] if error["code"] in CATALOGUE else "invalid"
            error["fix"] = CATALOGUE[error["code"]].fix
        return answer


@extend_schema(exclude=True)
class Nowhere(APIView):
    """Answers for every address that is none."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        path = request.path_info
        hint = ""
        if not path.endswith("/") and resolve(f"{path}/").func.cls is not Nowhere:  # type: ignore[attr-defined]
            hint = f" Addresses end with a slash: {path}/"
        raise exceptions.NotFound(f"There is no such address.{hint}")


def outside_views(code: str, status: int, detail: str) -> JsonResponse:
    """The answer where a request fails before or behind the API's views."""
    error = {"code": code, "detail": detail, "attr": None, "fix": CATALOGUE[code].fix}
    kind = SERVER_ERROR if status >= 500 else CLIENT_ERROR
    return JsonResponse({"type": kind, "errors": [error]}, status=status)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if request.path.startswith("/api/"):
        return outside_views("invalid", 400, "The request is malformed.")
    return defaults.bad_request(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        detail = f"The server failed. Its log knows this request as {request_id()}."
        return outside_views("error", 500, detail)
    return defaults.server_error(request)
