"""Resumable uploads: tus 1.0.0 with creation, expiration, termination and checksum.

Bodies are streamed to the file as they arrive; no parser sees them.
"""

from __future__ import annotations

import uuid
from typing import Any, cast

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api import tus
from leaderboard.api.auth import TokenAuthentication
from leaderboard.api.base import Filters
from leaderboard.api.bodies import bounded_silence, let_finish
from leaderboard.api.idempotency import HEADER as IDEMPOTENCY_KEY
from leaderboard.api.idempotency import idempotent
from leaderboard.models import Team, Upload, User
from leaderboard.selectors import visible
from leaderboard.services.submissions import upload_finished
from leaderboard.services.teams import personal_team
from leaderboard.services.uploads import (
    ALGORITHMS,
    upload_append,
    upload_create,
    upload_delete,
    upload_terminate,
)
from protocols.errors import RequestError, TidemarkError


def header(name: str, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, **options)


TUS = header("Tus-Resumable", "The protocol's version.", required=True, enum=[tus.VERSION])
CHECKSUM = header("Upload-Checksum", f"Of this body: {', '.join(ALGORITHMS)} and the digest in base64.")
DONE = OpenApiResponse(description="Upload-Offset, Upload-Length and Upload-Expires are headers.")
BYTES = {tus.BODY_TYPE: OpenApiTypes.BINARY}


class Tus(APIView):
    """What every request of the protocol has in common."""

    # A page of this site uploads with the reader's session. Every request of such a reader that
    # changes something must carry the CSRF token in X-CSRFToken: no form of another site can.
    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (IsAuthenticated,)
    parser_classes = ()
    error_statuses = ("408", "412", "423", "460", "507")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # The protocol wants this for clients that can send nothing but GET and POST.
        if request.method == "POST" and (method := request.headers.get("X-HTTP-Method-Override")):
            request.method = method.upper()
        return super().dispatch(request, *args, **kwargs)

    def get_permissions(self) -> list[BasePermission]:
        """Everybody may ask what the server can do."""
        return [] if self.request.method == "OPTIONS" else super().get_permissions()  # type: ignore[return-value]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        speaks = request.headers.get("Tus-Resumable") == tus.VERSION
        # The list is no part of the protocol, and what is no method of it is told so.
        is_of_protocol = request.method in ("POST", "HEAD", "PATCH", "DELETE")
        if is_of_protocol and hasattr(self, str(request.method).lower()) and not speaks:
            raise RequestError("upload_version")

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = tus.VERSION
        if response.status_code == 412:
            response["Tus-Version"] = tus.VERSION
        if response.status_code >= 400 and request.method in ("POST", "PATCH"):
            let_finish(request._request, response)
        return response

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """What the server can do, in headers."""
        return Response(
            status=204,
            headers={
                "Tus-Version": tus.VERSION,
                "Tus-Extension": tus.EXTENSIONS,
                "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            },
        )


class UploadOutput(serializers.ModelSerializer[Upload]):
    team = serializers.SlugRelatedField[Team](
        slug_field="slug",
        read_only=True,
        allow_null=True,
        help_text="Whose quota it counts against; null: none's.",
    )
    offset = serializers.IntegerField(read_only=True, help_text="Bytes that have arrived: go on from here.")
    submission = serializers.SerializerMethodField(help_text="The submission that has it, or null.")

    class Meta:
        model = Upload
        fields = [
            "id",
            "filename",
            "team",
            "length",
            "offset",
            "sha256",
            "submission",
            "created_at",
            "expires_at",
        ]

    def get_submission(self, upload: Upload) -> uuid.UUID | None:
        return upload.submission.pk if hasattr(upload, "submission") else None


class UploadFilter(Filters):
    finished = django_filters.BooleanFilter(method="filter_finished", label="Whether all bytes are there.")

    def filter_finished(self, rows: QuerySet[Upload], name: str, finished: bool) -> QuerySet[Upload]:
        return rows.exclude(sha256="") if finished else rows.filter(sha256="")


class Uploads(Tus, generics.ListAPIView[Upload]):
    """Your own uploads that nothing has used up yet, newest first."""

    serializer_class = UploadOutput
    filterset_class = UploadFilter
    ordering = ("-created_at", "id")

    def get_queryset(self) -> QuerySet[Upload]:
        return visible.uploads(self.request.user).select_related("team", "submission")

    @extend_schema(
        parameters=[
            TUS,
            header("Upload-Length", "Bytes to come.", required=True),
            header(
                "Upload-Metadata",
                "`filename`, `filetype` and `team` (one of your teams; you alone without it), "
                "each with its value in base64, between commas.",
            ),
            CHECKSUM,
        ],
        request=BYTES,
        responses={201: OpenApiResponse(description="Location is the address of the upload.")},
    )
    @idempotent("Upload-Length", "Upload-Metadata")
    def post(self, request: Request) -> Response:
        """Begin an upload. The body, if there is one, holds its first bytes."""
        size, checksum = tus.body_size(request), tus.checksum(request)
        if size:
            _require_bytes(request)
            if IDEMPOTENCY_KEY in request.headers:
                # The key is held in a transaction, and bytes may come for hours.
                raise RequestError("invalid", f"Send no bytes with an {IDEMPOTENCY_KEY}, but with PATCH.")
        told = tus.metadata(request)
        user = cast(User, request.user)
        upload = upload_create(
            owner=user,
            team=_team(user, told.get("team", "")),
            length=tus.number(request, "Upload-Length"),
            filename=told.get("filename", ""),
            metadata=request.headers.get("Upload-Metadata", ""),
        )
        offset = 0
        if size:
            try:
                with bounded_silence(request._request) as stream:
                    offset = upload_append(upload, offset=0, stream=stream, size=size, checksum=checksum)
            except TidemarkError as error:
                if error.code != "upload_stalled":
                    # Its address has been told to nobody.
                    upload_delete(upload)
                raise
        headers = {"Location": reverse("api:upload", args=[upload.pk])} | _state(upload, offset)
        return Response(status=201, headers=headers)


class UploadDetail(Tus):
    def head(self, request: Request, upload_id: uuid.UUID) -> Response:
        """How many bytes have arrived."""
        upload = self._upload(request, upload_id)
        if not upload.path.exists():
            raise RequestError("not_found", f"The bytes of upload {upload.pk} are gone.")
        headers = _state(upload, upload.offset) | {"Cache-Control": "no-store"}
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return Response(headers=headers)

    @extend_schema(
        parameters=[
            TUS,
            header("Upload-Offset", "Bytes that have arrived so far.", required=True),
            CHECKSUM,
        ],
        request=BYTES,
        responses={204: DONE},
    )
    def patch(self, request: Request, upload_id: uuid.UUID) -> Response:
        """Send bytes from the offset on."""
        upload = self._upload(request, upload_id)
        _require_bytes(request)
        size, checksum = tus.body_size(request), tus.checksum(request)
        offset = tus.number(request, "Upload-Offset")
        with bounded_silence(request._request) as stream:
            offset = upload_append(upload, offset=offset, stream=stream, size=size, checksum=checksum)
        if offset == upload.length:
            upload_finished(upload)
        return Response(status=204, headers=_state(upload, offset))

    @extend_schema(parameters=[TUS], request=None, responses={204: None})
    def delete(self, request: Request, upload_id: uuid.UUID) -> Response:
        """Give an upload up and free its bytes. An entry that waits for them is a draft again."""
        upload_terminate(self._upload(request, upload_id), actor=request.user)
        return Response(status=204)

    def _upload(self, request: Request, upload_id: uuid.UUID) -> Upload:
        return get_object_or_404(visible.uploads(request.user), pk=upload_id)


def _state(upload: Upload, offset: int) -> dict[str, str]:
    return {
        "Upload-Offset": str(offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
    }


def _require_bytes(request: Request) -> None:
    if request.content_type != tus.BODY_TYPE:
        raise UnsupportedMediaType(request.content_type)


def _team(user: User, slug: str) -> Team | None:
    """Whose quota an upload counts against: a team that is named, else the user's own or a batch's none."""
    if not slug:
        return None if user.is_maintainer else personal_team(user)
    team = user.teams.filter(slug=slug).first()
    if team is None:
        raise RequestError("invalid", f"You are in no team {slug[:60]!r}.")
    return team
