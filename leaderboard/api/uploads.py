"""Resumable uploads: tus 1.0.0 with creation, expiration and termination (https://tus.io/protocols/resumable-upload).

Bodies are streamed to the file as they arrive; no parser sees them.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import IO, Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from leaderboard.api.auth import TokenAuthentication
from leaderboard.api.idempotency import idempotent
from leaderboard.models import Upload, User
from leaderboard.selectors import visible
from leaderboard.services.submissions import upload_finished
from leaderboard.services.teams import personal_team
from leaderboard.services.uploads import upload_append, upload_create, upload_terminate
from protocols.errors import RequestError

VERSION = "1.0.0"
BODY_TYPE = "application/offset+octet-stream"
# More digits than any file size has.
MAX_DIGITS = 20


def header(name: str, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, **options)


TUS = header("Tus-Resumable", "The protocol's version.", required=True, enum=[VERSION])
DONE = OpenApiResponse(description="Upload-Offset, Upload-Length and Upload-Expires are headers.")


class Tus(APIView):
    """What every request of the protocol has in common."""

    # A page of this site uploads with the reader's session. Every request of such a reader that
    # changes something must carry the CSRF token in X-CSRFToken: no form of another site can.
    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (IsAuthenticated,)
    parser_classes = ()
    error_statuses = ("412", "423", "507")

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
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            raise RequestError("upload_version")

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = VERSION
        if response.status_code == 412:
            response["Tus-Version"] = VERSION
        return response

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """What the server can do, in headers."""
        return Response(
            status=204,
            headers={
                "Tus-Version": VERSION,
                "Tus-Extension": "creation,expiration,termination",
                "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
            },
        )


class Uploads(Tus):
    @extend_schema(
        parameters=[
            TUS,
            header("Upload-Length", "Bytes to come.", required=True),
            header("Upload-Metadata", "`filename` and its value in base64."),
        ],
        request=None,
        responses={201: OpenApiResponse(description="Location is the address of the upload.")},
    )
    @idempotent("Upload-Length", "Upload-Metadata")
    def post(self, request: Request) -> Response:
        """Begin an upload."""
        user = cast(User, request.user)
        upload = upload_create(
            owner=user,
            team=None if user.is_maintainer else personal_team(user),
            length=_number(request, "Upload-Length"),
            filename=_filename(request),
        )
        headers = {"Location": reverse("api:upload", args=[upload.pk])} | _state(upload, upload.offset)
        return Response(status=201, headers=headers)


class UploadDetail(Tus):
    def head(self, request: Request, upload_id: uuid.UUID) -> Response:
        """How many bytes have arrived."""
        upload = self._upload(request, upload_id)
        return Response(headers=_state(upload, upload.offset) | {"Cache-Control": "no-store"})

    @extend_schema(
        parameters=[TUS, header("Upload-Offset", "Bytes that have arrived so far.", required=True)],
        request={BODY_TYPE: OpenApiTypes.BINARY},
        responses={204: DONE},
    )
    def patch(self, request: Request, upload_id: uuid.UUID) -> Response:
        """Send bytes from the offset on."""
        upload = self._upload(request, upload_id)
        if request.content_type != BODY_TYPE:
            raise UnsupportedMediaType(request.content_type)
        if "Transfer-Encoding" in request.headers:
            # Without a length nothing of the body would be read, and the client would not know.
            raise RequestError("invalid", "Send the body with a Content-Length and not in chunks.")
        offset = _number(request, "Upload-Offset")
        # Django's request reads from `wsgi.input` as far as Content-Length, and keeps nothing.
        stream = cast("IO[bytes]", request._request)
        offset = upload_append(upload, offset=offset, stream=stream)
        if offset == upload.length:
            upload_finished(upload)
        return Response(status=204, headers=_state(upload, offset))

    @extend_schema(parameters=[TUS], request=None, responses={204: None})
    def delete(self, request: Request, upload_id: uuid.UUID) -> Response:
        """Give an upload up and free its bytes."""
        upload_terminate(self._upload(request, upload_id))
        return Response(status=204)

    def _upload(self, request: Request, upload_id: uuid.UUID) -> Upload:
        return get_object_or_404(visible.uploads(request.user), pk=upload_id)


def _state(upload: Upload, offset: int) -> dict[str, str]:
    return {
        "Upload-Offset": str(offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
    }


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise RequestError("invalid", f"The header {name} is missing or no whole number of bytes.")
    return int(text)


def _filename(request: Request) -> str:
    """The file name in Upload-Metadata: pairs of a key and a base64 value, between commas."""
    pairs = [pair.split() for pair in request.headers.get("Upload-Metadata", "").split(",")]
    encoded = next((pair[1] for pair in pairs if len(pair) == 2 and pair[0] == "filename"), "")
    try:
        name = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise RequestError("invalid", "The file name in Upload-Metadata is no UTF-8 in base64.") from error
    if not name.isprintable():
        raise RequestError("invalid", "The file name in Upload-Metadata has control characters.")
    return name
