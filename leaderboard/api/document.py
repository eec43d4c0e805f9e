"""The OpenAPI document, made once by each process: it is the same for everybody and takes seconds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny


@lru_cache(maxsize=1)
def _document() -> Any:
    generator: Any = SchemaGenerator
    return generator().get_schema(request=None, public=True)


class CachedGenerator(SchemaGenerator):
    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        return _document()


class Document(SpectacularAPIView):
    permission_classes = (AllowAny,)
    generator_class = CachedGenerator
