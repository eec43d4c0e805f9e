"""How a body is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.utils.json import strict_constant

from protocols.errors import RequestError


class JSONParser(BaseParser):
    """JSON in UTF-8 of a bounded size.

    The framework's own parser reads a body of any size into memory, lets deep nesting
    through as a server error, and lone surrogates as text that no answer can repeat.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise RequestError("body_too_large", f"The body has more than {limit} bytes.")
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=strict_constant)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is no JSON in UTF-8: {error}") from error
        return value
