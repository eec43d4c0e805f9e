"""The shelf stays within its bounds, and a flight never leaves anybody waiting."""

from __future__ import annotations

import threading
import time

from leaderboard.delivery.shelf import ENTRY_BYTES, Flights, Shelf


def put(shelf: Shelf[str], key: str, size_bytes: int = 0, *, lives_s: float = 60.0) -> None:
    shelf.put(key, f"value of {key}", size_bytes=size_bytes, expires_at=time.monotonic() + lives_s)


def test_a_value_is_found_until_it_expires() -> None:
    shelf: Shelf[str] = Shelf(8, 2**20)
    put(shelf, "a", lives_s=0.05)
    assert shelf.get("a") == "value of a"
    assert shelf.get("b") is None
    time.sleep(0.06)
    assert shelf.get("a") is None


def test_the_oldest_goes_first() -> None:
    shelf: Shelf[str] = Shelf(3, 2**20)
    for key in "abcd":
        put(shelf, key)
    assert [key for key in "abcd" if shelf.get(key)] == ["b", "c", "d"]
    put(shelf, "b")
    put(shelf, "e")
    assert [key for key in "bcde" if shelf.get(key)] == ["b", "d", "e"], "b was put anew"


def test_neither_many_nor_large_values_take_more_than_the_room() -> None:
    shelf: Shelf[str] = Shelf(1000, 40 * ENTRY_BYTES)
    for number in range(500):
        put(shelf, str(number), ENTRY_BYTES)
        assert shelf.used_bytes <= shelf.max_bytes
    assert len(shelf) == 20
    put(shelf, "large", 5 * ENTRY_BYTES)
    assert shelf.get("large") is None, "more than an eighth"
    assert len(shelf) == 20


def test_what_has_expired_leaves_with_the_next_to_come() -> None:
    shelf: Shelf[str] = Shelf(100, 2**20)
    for number in range(50):
        put(shelf, str(number), lives_s=0.01)
    time.sleep(0.02)
    put(shelf, "new")
    assert len(shelf) == 1
    assert shelf.used_bytes == ENTRY_BYTES


def test_one_leads_and_the_others_get_what_it_made() -> None:
    flights: Flights[str] = Flights()
    flight, leads = flights.join("a")
    assert leads
    found: list[str | None] = []

    def ask() -> None:
        other, leads = flights.join("a")
        assert not leads
        assert other.landed.wait(5)
        found.append(other.value)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    other, leads = flights.join("b")
    assert leads, "another key is another flight"
    flights.land("b", other, None)
    flights.land("a", flight, "made")
    for thread in threads:
        thread.join(5)
    # Whoever came after the landing would have led.
    assert found == ["made"] * 4 or set(found) <= {"made"}
    assert flights.join("a")[1]
