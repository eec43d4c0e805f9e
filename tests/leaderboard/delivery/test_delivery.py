"""What may be stored, what is found unchanged, what is kept in the process, and what never is."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from leaderboard.delivery import middleware
from leaderboard.delivery.compression import accepts_gzip
from leaderboard.delivery.middleware import Delivery
from leaderboard.models import Benchmark, User
from leaderboard.services.accounts import token_create
from tests.leaderboard.factories import UserFactory
from tests.leaderboard.pages.test_pages import pages
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
LONG = "<p>a page that is worth compressing</p>" * 100


@pytest.fixture
def keeping(settings: LazySettings) -> None:
    settings.PAGE_CACHE_S = 60.0


@pytest.fixture
def board(world: World) -> str:
    return reverse("leaderboard", args=[world.benchmark.slug])


def varies(response: Any) -> set[str]:
    return {name.strip() for name in response["Vary"].split(",")}


def rename(benchmark: Benchmark, name: str) -> None:
    Benchmark.objects.filter(pk=benchmark.pk).update(name=name)


def test_no_page_of_a_visitor_holds_a_token_or_sets_a_cookie(world: World, client: Client) -> None:
    for address in pages(world):
        response = client.get(address)
        assert not response.cookies, address
        assert b"csrfmiddlewaretoken" not in response.content, address
        assert response["Cache-Control"] == "public, max-age=0, must-revalidate", address
        assert "Cookie" in varies(response), address
        assert client.get(address)["ETag"] == response["ETag"], address


def test_a_page_that_has_not_changed_is_not_sent_again(world: World, client: Client, board: str) -> None:
    first = client.get(board)
    again = client.get(board, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (again["ETag"], again["Cache-Control"]) == (first["ETag"], first["Cache-Control"])
    assert varies(again) == varies(first)
    rename(world.benchmark, "Another name")
    changed = client.get(board, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_the_api_answers_alike(world: World, client: Client) -> None:
    address = reverse("api:leaderboard", args=[world.benchmark.slug])
    first = client.get(address)
    assert first["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert {"Authorization", "Cookie"} <= varies(first)
    assert client.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_what_somebody_signed_in_gets_is_theirs_alone(world: World, keeping: None, board: str) -> None:
    client = Client()
    client.force_login(world.submitter)
    response = client.get(board)
    assert response["Cache-Control"] == "private, no-cache"
    assert b"Sign out" in response.content
    assert b"Sign out" not in Client().get(board).content
    token = token_create(world.submitter, ttl=timedelta(days=1)).token
    address = reverse("api:submissions")
    with_token = Client().get(address, headers={"Authorization": f"Token {token}"})
    assert with_token["Cache-Control"] == "private, no-cache"
    known = {"Authorization": f"Token {token}", "If-None-Match": with_token["ETag"]}
    assert Client().get(address, headers=known).status_code == 304


def test_a_page_with_a_form_is_stored_by_nobody(client: Client, keeping: None) -> None:
    tokens = set()
    for _ in range(2):
        response = Client().get("/login/")
        assert "private" in response["Cache-Control"]
        assert "csrftoken" in response.cookies
        tokens |= set(re.findall(rb'csrfmiddlewaretoken" value="(\w+)"', response.content))
    assert len(tokens) == 2


def test_what_a_view_says_about_storing_stands(client: Client, keeping: None) -> None:
    response = client.get("/health/live")
    assert "no-store" in response["Cache-Control"]
    assert "ETag" not in response


def test_a_kept_page_asks_the_database_nothing(
    world: World, client: Client, keeping: None, board: str, django_assert_num_queries: Any
) -> None:
    first = client.get(board)
    with django_assert_num_queries(0):
        again = client.get(board)
        known = client.get(board, headers={"If-None-Match": first["ETag"]})
        head = client.head(board)
    assert again.content == first.content
    assert dict(again.headers) == dict(first.headers)
    assert known.status_code == 304
    assert (head.status_code, head["ETag"]) == (200, first["ETag"])


def test_a_reader_sees_a_change_after_the_time_of_the_setting(
    world: World, client: Client, settings: LazySettings, board: str
) -> None:
    settings.PAGE_CACHE_S = 0.5
    assert "Renamed" not in client.get(board).content.decode()
    rendered = time.monotonic()
    rename(world.benchmark, "Renamed")
    kept = client.get(board).content.decode()
    if time.monotonic() < rendered + 0.4:
        assert "Renamed" not in kept
    time.sleep(0.6)
    assert "Renamed" in client.get(board).content.decode()


def test_a_page_that_takes_longer_than_it_is_kept_is_kept_all_the_same(settings: LazySettings) -> None:
    settings.PAGE_CACHE_S = 0.3
    rendered = []

    def view(request: HttpRequest) -> HttpResponse:
        rendered.append(request.path)
        time.sleep(0.4)
        return HttpResponse(LONG)

    ask = delivered(view)
    ask()
    ask()
    assert len(rendered) == 1


def test_nothing_is_kept_with_zero(world: World, client: Client, settings: LazySettings, board: str) -> None:
    settings.PAGE_CACHE_S = 0
    client.get(board)
    rename(world.benchmark, "Renamed")
    assert "Renamed" in client.get(board).content.decode()


def test_what_a_page_depends_on_tells_it_apart(
    world: World, client: Client, keeping: None, board: str, settings: LazySettings
) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "other.example"]
    whole = client.get(board).content
    part = client.get(board, headers={"HX-Request": "true"}).content
    assert b"<html" in whole
    assert b"<html" not in part
    assert client.get(board, {"sort": "-next"}).content != whole
    assert (
        b"http://other.example"
        in client.get(
            reverse("arrivals-feed", args=[world.benchmark.slug]), headers={"Host": "other.example"}
        ).content
    )
    assert b"http://testserver" in client.get(reverse("arrivals-feed", args=[world.benchmark.slug])).content
    client.cookies["theme"] = "dark"
    assert b'data-theme="dark"' in client.get(board).content
    assert client.get(board, headers={"Host": "unknown.example"}).status_code == 400


def test_the_formats_of_the_api_are_told_apart_and_it_still_counts(client: Client, keeping: None) -> None:
    schema = reverse("api:schema")
    assert client.get(schema, headers={"Accept": "application/json"})["Content-Type"].endswith("json")
    assert "yaml" in client.get(schema, headers={"Accept": "application/yaml"})["Content-Type"]
    assert client.get("/api/v1/corpora/").status_code == 200
    assert client.get("/api/v1/corpora/", headers={"Accept": "image/png"}).status_code == 406
    left = [int(client.get("/api/v1/corpora/")["RateLimit"].split(";")[1][2:]) for _ in range(3)]
    assert left == [left[0], left[0] - 1, left[0] - 2]


def test_an_error_is_not_kept(client: Client, keeping: None, board: str, world: World) -> None:
    missing = reverse("leaderboard", args=["to-come"])
    assert client.get(missing).status_code == 404
    assert client.get(missing)["Cache-Control"] == "private, no-cache"
    Benchmark.objects.filter(pk=world.benchmark.pk).update(slug="to-come")
    assert client.get(missing).status_code == 200


def test_a_message_is_shown_to_whom_it_is_for(client: Client, keeping: None, rf: RequestFactory) -> None:
    assert b'class="message' not in client.get("/").content
    UserFactory(username="bo")
    client.force_login(User.objects.get(username="bo"))
    client.post(reverse("logout"))
    assert b"Sign in" in client.get("/").content
    request = rf.get("/")
    request.COOKIES["messages"] = "something"
    assert not middleware.is_anonymous(request)


def test_compressed_and_plain_say_the_same(world: World, client: Client, keeping: None, board: str) -> None:
    packed = client.get(board, headers={"Accept-Encoding": "br, gzip"})
    plain = client.get(board)
    assert packed["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain
    assert gzip.decompress(packed.content) == plain.content
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content) / 3
    assert packed["ETag"] == plain["ETag"]
    assert "Accept-Encoding" in varies(packed)
    assert "Accept-Encoding" in varies(plain)


def test_what_is_not_kept_is_compressed_too(world: World, board: str) -> None:
    client = Client()
    client.force_login(world.submitter)
    answers = [client.get(board, headers={"Accept-Encoding": "gzip"}) for _ in range(8)]
    assert all(b"Sign out" in gzip.decompress(answer.content) for answer in answers)
    names = {re.match(rb"\x1f\x8b\x08\x08.{6}(\w*)\x00", a.content, re.DOTALL)[1] for a in answers}  # type: ignore[index]
    assert len({len(name) for name in names}) > 1, "the length tells nothing exactly"


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=often", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_only_who_accepts_it_gets_gzip(accept: str, accepted: bool) -> None:
    assert accepts_gzip(accept) is accepted


# The middleware around a view of the test.


def delivered(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., Any]:
    served, rf = Delivery(view), RequestFactory()
    return lambda address="/", **headers: served(rf.get(address, headers=headers))


def at_once(n: int, call: Callable[[], Any]) -> list[Any]:
    found: list[Any] = []
    barrier = threading.Barrier(n)

    def run() -> None:
        barrier.wait(5)
        found.append(call())

    threads = [threading.Thread(target=run) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return found


def test_a_page_that_many_ask_for_at_once_is_rendered_once(keeping: None) -> None:
    rendered = []

    def view(request: HttpRequest) -> HttpResponse:
        rendered.append(request.path)
        time.sleep(0.3)
        return HttpResponse(LONG)

    ask = delivered(view)
    answers = at_once(8, ask)
    assert rendered == ["/"]
    assert [answer.content.decode() for answer in answers] == [LONG] * 8


def test_what_can_not_be_shared_is_rendered_for_each(keeping: None) -> None:
    numbers = iter(range(100))

    def view(_: HttpRequest) -> HttpResponse:
        number = next(numbers)
        time.sleep(0.1)
        response = HttpResponse(f"number {number}")
        response.set_cookie("number", str(number))
        return response

    answers = at_once(6, delivered(view))
    assert sorted(answer.content for answer in answers) == sorted(f"number {n}".encode() for n in range(6))


def test_nobody_waits_for_a_rendering_that_broke(keeping: None) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        time.sleep(0.1)
        raise RuntimeError("broken")

    ask = delivered(view)

    def ask_for_an_answer() -> str:
        with pytest.raises(RuntimeError):
            ask()
        return "answered"

    assert at_once(4, ask_for_an_answer) == ["answered"] * 4


def test_invented_queries_do_not_push_out_the_pages(keeping: None) -> None:
    rendered = []

    def view(request: HttpRequest) -> HttpResponse:
        rendered.append(request.get_full_path())
        return HttpResponse(LONG)

    ask = delivered(view)
    ask("/")
    for number in range(middleware.MAX_ENTRIES + 50):
        ask(f"/?x={number}")
    rendered.clear()
    ask("/")
    assert rendered == []


def test_what_varies_with_something_else_is_not_kept(keeping: None) -> None:
    numbers = iter(range(100))

    def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(str(next(numbers)), headers={"Vary": "Accept-Language"})

    ask = delivered(view)
    assert ask().content != ask().content
