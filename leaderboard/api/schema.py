"""How the OpenAPI document is made."""

from drf_standardized_errors.openapi import AutoSchema


class Schema(AutoSchema):  # type: ignore[misc]
    """Documents the error answers with the one error shape."""
