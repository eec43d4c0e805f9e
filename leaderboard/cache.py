"""The cache that all processes share through Redis, and that nothing needs.

Limits of requests are counted in it. While Redis is away nothing is found and nothing is kept, requests
are answered and not limited, and the log gets one line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

T = TypeVar("T")

# So long nothing asks a Redis that did not answer, or every request would wait for it.
PAUSE_S = 5.0


class JSONSerializer:
    """Whoever can write into Redis must not be able to run code here, as with pickles."""

    def dumps(self, value: Any) -> Any:
        # Whole numbers stay as they are: Redis itself counts with them.
        return value if type(value) is int else json.dumps(value)

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class Outage:
    """What this process knows of Redis being away."""

    def __init__(self) -> None:
        self.until = 0.0
        self.is_known = False

    def begin(self, error: Exception) -> None:
        self.until = time.monotonic() + PAUSE_S
        if not self.is_known:
            self.is_known = True
            log.warning("cache_away", error=str(error), effect="requests are not limited")

    def end(self) -> None:
        if self.is_known:
            self.is_known = False
            log.info("cache_back")


outage = Outage()


class Client(RedisCacheClient):
    """Django's client, for which a Redis that is away is an empty one."""

    def __init__(self, servers: Any, **options: Any) -> None:
        serializer: Any = JSONSerializer
        super().__init__(servers, serializer, **options)

    def _try(self, default: T, call: Callable[..., T], *args: Any) -> T:
        if time.monotonic() < outage.until:
            return default
        try:
            found = call(*args)
        except (RedisError, OSError) as error:
            outage.begin(error)
            return default
        outage.end()
        return found

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        # Whoever takes a lock in the cache goes on without it.
        return self._try(True, super().add, key, value, timeout)

    def get(self, key: Any, default: Any) -> Any:
        return self._try(default, super().get, key, default)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        self._try(None, super().set, key, value, timeout)

    def touch(self, key: Any, timeout: Any) -> bool:
        return self._try(False, super().touch, key, timeout)

    def delete(self, key: Any) -> bool:
        return self._try(False, super().delete, key)

    def get_many(self, keys: Any) -> Any:
        found: dict[Any, Any] = {}
        return self._try(found, super().get_many, keys)

    def has_key(self, key: Any) -> bool:
        return self._try(False, super().has_key, key)

    def incr(self, key: Any, delta: int) -> int:
        return self._try(delta, super().incr, key, delta)

    def set_many(self, data: Any, timeout: Any) -> None:
        self._try(None, super().set_many, data, timeout)

    def delete_many(self, keys: Any) -> None:
        self._try(None, super().delete_many, keys)

    def count(self, key: str, window_s: int) -> tuple[int, int] | None:
        return self._try(None, self._count, key, window_s)

    def _count(self, key: str, window_s: int) -> tuple[int, int]:
        with self.get_client(key, write=True).pipeline() as pipeline:
            pipeline.set(key, 0, ex=window_s, nx=True)
            pipeline.incr(key)
            pipeline.ttl(key)
            _, number, left_s = pipeline.execute()
        return number, max(1, left_s)

    def clear_prefix(self, prefix: str) -> None:
        self._try(None, self._clear_prefix, prefix)

    def _clear_prefix(self, prefix: str) -> None:
        client = self.get_client(write=True)
        for key in client.scan_iter(match=f"{prefix}:*", count=1000):
            client.delete(key)


class Cache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = Client

    def count(self, key: str, window_s: int) -> tuple[int, int] | None:
        """Count one more of ``key``: how many there are in its window, and the seconds until that ends.

        A window begins with the first of its kind. ``None`` while Redis is away. One round trip, and
        no two processes ever get the same number.
        """
        client: Any = self._cache
        found: tuple[int, int] | None = client.count(self.make_and_validate_key(key), window_s)
        return found

    def clear(self) -> None:
        """Forget what the cache holds, and leave the broker's messages alone, which lie beside it."""
        client: Any = self._cache
        client.clear_prefix(self.key_prefix)
