"""Answers kept for seconds, and made once however many ask for them at the same time. No HTTP here."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

# What an entry costs beside its value: the key, the headers and the places in the dictionary.
ENTRY_BYTES = 2048


class Shelf(Generic[T]):
    """At most ``max_entries`` values of at most ``max_bytes`` together; the oldest go first.

    All live about equally long, so the oldest is also the next to expire, and nothing is lost by not
    asking which was read last. One value may take an eighth of the room: a single large one must not
    push out all others.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._entries: dict[Hashable, tuple[T, int, float]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> T | None:
        """The value, unless it has expired."""
        found = self._entries.get(key)
        if found is None or found[2] <= time.monotonic():
            return None
        return found[0]

    def put(self, key: Hashable, value: T, *, size_bytes: int, expires_at: float) -> None:
        """Keep a value until ``expires_at`` on the monotonic clock, if it is not too large."""
        size_bytes += ENTRY_BYTES
        if size_bytes > self.max_bytes // 8:
            return
        with self._lock:
            self._remove(key)
            now = time.monotonic()
            while self._entries and self._is_to_go(next(iter(self._entries)), size_bytes, now):
                self._remove(next(iter(self._entries)))
            self._entries[key] = (value, size_bytes, expires_at)
            self.used_bytes += size_bytes

    def _is_to_go(self, oldest: Hashable, size_bytes: int, now: float) -> bool:
        is_full = len(self._entries) >= self.max_entries or self.used_bytes + size_bytes > self.max_bytes
        return is_full or self._entries[oldest][2] <= now

    def _remove(self, key: Hashable) -> None:
        removed = self._entries.pop(key, None)
        if removed is not None:
            self.used_bytes -= removed[1]


@dataclass
class Flight(Generic[T]):
    """Something that one thread makes and others wait for; without a ``value`` it can't be shared."""

    landed: threading.Event = field(default_factory=threading.Event)
    value: T | None = None


class Flights(Generic[T]):
    """What is being made at present.

    Whoever leads a flight waits for no other, and every wait is bounded, so nobody waits for ever.
    """

    def __init__(self) -> None:
        self._flying: dict[Hashable, Flight[T]] = {}
        self._lock = threading.Lock()

    def join(self, key: Hashable) -> tuple[Flight[T], bool]:
        """The flight for ``key``, and whether the caller leads it: who leads must call :meth:`land`."""
        with self._lock:
            flight = self._flying.get(key)
            if flight is not None:
                return flight, False
            flight = self._flying[key] = Flight()
            return flight, True

    def land(self, key: Hashable, flight: Flight[T], value: T | None) -> None:
        """End a flight: those who wait get ``value``, or make their own where it is ``None``."""
        with self._lock:
            del self._flying[key]
        flight.value = value
        flight.landed.set()
