"""What the resources have in common: strict inputs, look-ups among what is visible, answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

import django_filters
from django.db.models import Model, QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.models.base import Faulty
from protocols.errors import CATALOGUE, Owner

Row = TypeVar("Row", bound=Model)


class Filters(django_filters.FilterSet):  # type: ignore[misc]
    """What a list can be narrowed by in the query."""


class Input(serializers.Serializer[Any]):
    """A body. A field that it does not know is an error, or a typing mistake would go unnoticed."""

    @classmethod
    def parse(cls, request: Request) -> dict[str, Any]:
        """The body's fields as Python values. Raises ``ValidationError``."""
        body = cls(data=request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                dict.fromkeys(unknown, f"There is no such field; there are: {known}.")
            )
        return super().to_internal_value(data)


class UploadInput(Input):
    upload = serializers.UUIDField(help_text="Id of a finished upload of yours.")

    @classmethod
    def parse_upload(cls: type[Self], request: Request, uploads: QuerySet[Row]) -> Row:
        return named(uploads, "upload", pk=cls.parse(request)["upload"])


class ErrorReport(serializers.Serializer[Any]):
    """Why something ended badly, after the catalogue of errors."""

    code = serializers.CharField()
    owner = serializers.ChoiceField(choices=[owner.value for owner in Owner])
    what = serializers.CharField()
    detail = serializers.CharField()
    fix = serializers.CharField()


@extend_schema_field(ErrorReport(allow_null=True))
class ErrorField(serializers.Field[Any, Any, Any, Any]):
    """The catalogue's entry for a row's ``error_code``, or null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(source="*", read_only=True, **kwargs)

    def to_representation(self, value: Faulty) -> dict[str, str] | None:
        if not value.error_code:
            return None
        entry = CATALOGUE[value.error_code]
        return {
            "code": entry.code,
            "owner": entry.owner.value,
            "what": entry.what,
            "detail": value.error_detail,
            "fix": entry.fix,
        }


def named(rows: QuerySet[Row], field: str, **lookup: Any) -> Row:
    """The row that a body's ``field`` names, among those that the caller may see."""
    row = rows.filter(**lookup).first()
    if row is None:
        (value,) = lookup.values()
        raise serializers.ValidationError({field: f"There is no {field} {str(value)!r} that you may see."})
    return row


def created(answer: serializers.BaseSerializer[Any], route: str, *args: object) -> Response:
    """201 with the new thing and its address, relative so that it holds behind any proxy."""
    return Response(answer.data, status=201, headers={"Location": reverse(f"api:{route}", args=args)})
