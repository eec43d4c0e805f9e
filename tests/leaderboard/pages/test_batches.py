"""The maintainers' pages on batches and generators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from leaderboard.models import Action, Batch, Generator, Upload
from leaderboard.pages import batches as pages
from leaderboard.pages.batch_forms import Publication
from leaderboard.selectors.preview import BenchmarkPreview, PhaseCost, Preview
from leaderboard.store import store
from protocols.contract import Phase
from protocols.states import BatchState
from tests.leaderboard.batches import AUDIT, REPORT
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    CorpusFactory,
    GeneratorFactory,
    UploadFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def maintainer(client: Client) -> Client:
    client.force_login(UserFactory(maintainer=True))
    return client


def read(client: Client, address: str, status: int = 200, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == status, address
    return response.content.decode()


def sealed(**fields: Any) -> Batch:
    return BatchFactory(**{"state": BatchState.SEALED, "report": REPORT, "audit": AUDIT} | fields)


# Who may come in


def desk_routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Every route of a page below ``/desk/``."""
    for pattern in (resolver or get_resolver("leaderboard.pages.urls")).url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from desk_routes(pattern, route)
        elif route.startswith("desk/"):
            yield route


def address_of(route: str) -> str:
    """Some address of a route. Nothing has to be there: who may not come in learns nothing of that."""
    examples = {"uuid": str(uuid4()), "slug": "some-slug", "int": "1", "str": "some"}
    return "/" + re.sub(r"<(\w+):\w+>", lambda found: examples[found[1]], route)


def test_no_page_of_the_desk_opens_to_anybody_but_maintainers(client: Client) -> None:
    routes = list(desk_routes())
    assert len(routes) >= 10
    for route in routes:
        address = address_of(route)
        for method in (client.get, client.post):
            answer = method(address)
            # What takes another method alone says so before it asks who is there, and nothing else.
            assert answer.status_code in (302, 405), (route, answer.status_code)
            if answer.status_code == 302:
                assert answer["Location"].startswith("/login/?next="), route
    client.force_login(UserFactory())
    for route in routes:
        statuses = {client.get(address_of(route)).status_code, client.post(address_of(route)).status_code}
        assert statuses <= {403, 405}, route
        assert 403 in statuses, route


def test_a_maintainer_who_was_deactivated_stays_out(client: Client) -> None:
    user = UserFactory(maintainer=True)
    client.force_login(user)
    assert "Batches" in read(client, reverse("desk-batches"))
    user.is_staff = False
    user.save()
    read(client, reverse("desk-batches"), 403)


def test_only_maintainers_are_shown_the_way_to_the_desk(client: Client) -> None:
    assert ">Desk</a>" not in read(client, "/")
    client.force_login(UserFactory())
    assert ">Desk</a>" not in read(client, "/")
    client.force_login(UserFactory(maintainer=True))
    assert ">Desk</a>" in read(client, "/")


def test_every_form_asks_for_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory(maintainer=True))
    batch = sealed()
    for route in desk_routes():
        assert client.post(address_of(route)).status_code in (403, 405), route
    assert client.post(reverse("desk-batch-publish", args=[batch.pk])).status_code == 403
    batch.refresh_from_db()
    assert batch.state == BatchState.SEALED


# The list


def test_the_list_shows_states_and_is_live_while_something_is_checked(maintainer: Client) -> None:
    BatchFactory(state=BatchState.CHECKING, progress=0.37, generator__name="Newcomer <b>")
    BatchFactory(real=True, real_source="office", state=BatchState.REJECTED, error_code="batch_empty")
    html = read(maintainer, reverse("desk-batches"))
    assert "Newcomer &lt;b&gt;" in html
    assert "37%" in html
    assert "batch_empty" in html
    assert 'hx-trigger="every 2s"' in html
    part = read(maintainer, reverse("desk-batches"), **{"HX-Request": "true"})
    assert "<html" not in part
    assert part.strip() in html
    Batch.objects.update(state=BatchState.SEALED)
    assert "hx-trigger" not in read(maintainer, reverse("desk-batches"))


def test_the_list_is_narrowed_by_corpus_and_state_and_paged(
    maintainer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = BatchFactory(), BatchFactory(state=BatchState.SEALED)
    address = reverse("desk-batches")
    assert str(second.pk) not in read(maintainer, f"{address}?corpus={first.corpus.slug}")
    assert str(first.pk) not in read(maintainer, f"{address}?state=sealed")
    assert "There is no batch of this kind" in read(maintainer, f"{address}?state=rejected")
    # What there is not narrows nothing, whatever it holds.
    assert str(first.pk) in read(maintainer, f"{address}?corpus=%00&state=%00&page=x")
    monkeypatch.setattr(pages, "PER_PAGE", 1)
    html = read(maintainer, f"{address}?page=2")
    assert str(first.pk) in html
    assert str(second.pk) not in html
    assert "Page 2 of 2" in html


# A new batch


def test_a_generator_is_registered_and_gets_a_batch(maintainer: Client) -> None:
    corpus = CorpusFactory()
    address = f"{reverse('desk-batch-new')}?corpus={corpus.slug}"
    facts = {
        "new-name": "Flux 3",
        "new-slug": "flux-3",
        "new-release_date": "2026-11-16",
        "new-family": "flow",
        "new-source": "made here",
        "new-licence": "CC BY 4.0",
    }
    answer = maintainer.post(address, {"what": "new", **facts})
    batch = Batch.objects.get()
    assert answer["Location"] == reverse("desk-batch", args=[batch.pk])
    assert batch.generator is not None
    assert (batch.generator.name, batch.generator.release_date) == ("Flux 3", date(2026, 11, 16))
    assert batch.created_by is not None
    assert {"generator created", "batch created"} <= set(Action.objects.values_list("verb", flat=True))

    refused = maintainer.post(address, {"what": "new", **facts})
    assert refused.status_code == 400
    assert "has a generator &#x27;flux-3&#x27; already" in refused.content.decode()
    assert Batch.objects.count() == 1


def test_wrong_fields_are_told_beside_them(maintainer: Client) -> None:
    corpus = CorpusFactory()
    answer = maintainer.post(
        f"{reverse('desk-batch-new')}?corpus={corpus.slug}",
        {"what": "new", "new-name": "x", "new-slug": "no slug!", "new-release_date": "yesterday"},
    )
    assert answer.status_code == 400
    html = answer.content.decode()
    assert "Enter a valid “slug”" in html
    assert "Enter a valid date." in html
    assert not Generator.objects.exists()


def test_a_batch_is_made_for_a_known_generator_or_for_reals(maintainer: Client) -> None:
    generator = GeneratorFactory()
    elsewhere = GeneratorFactory()
    address = f"{reverse('desk-batch-new')}?corpus={generator.corpus.slug}"
    assert maintainer.post(address, {"what": "known", "known-generator": elsewhere.pk}).status_code == 400
    maintainer.post(address, {"what": "known", "known-generator": generator.pk})
    maintainer.post(address, {"what": "reals", "reals-real_source": "office"})
    assert [(b.generator, b.real_source) for b in Batch.objects.order_by("created_at")] == [
        (generator, ""),
        (None, "office"),
    ]
    assert maintainer.post(address, {"what": "nonsense"}).status_code == 400


def test_without_a_corpus_the_page_says_how_to_make_one(maintainer: Client) -> None:
    assert "There is no corpus yet" in read(maintainer, reverse("desk-batch-new"))
    read(maintainer, reverse("desk-batch-new") + "?corpus=%00", 404)


# Upload and check


def test_the_page_of_an_empty_batch_uploads_and_tells_the_way_without_script(maintainer: Client) -> None:
    batch = BatchFactory(state=BatchState.UPLOADING, n_train=0, n_eval=0)
    html = read(maintainer, reverse("desk-batch", args=[batch.pk]))
    assert "tidemark/upload.js" in html
    assert 'data-uploads="/api/v1/uploads/"' in html
    noscript = re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    assert any("command line" in text for text in noscript)
    assert f"tidemark batch upload PATH --corpus {batch.corpus.slug} --generator" in html


def test_a_finished_upload_is_taken_and_nobody_elses(maintainer: Client) -> None:
    batch = BatchFactory(state=BatchState.UPLOADING)
    address = reverse("desk-batch-submit", args=[batch.pk])
    for wrong in ("", "no-uuid", str(uuid4()), str(UploadFactory().pk)):
        answer = maintainer.post(address, {"upload": wrong}, follow=True)
        assert "There is no such upload of yours" in answer.content.decode()
    me = Client()
    me.force_login(user := UserFactory(maintainer=True))
    unfinished: Upload = UploadFactory(owner=user, length=100)
    assert "7 of 100 bytes" in me.post(address, {"upload": unfinished.pk}, follow=True).content.decode()
    me.post(address, {"upload": UploadFactory(owner=user).pk})
    batch.refresh_from_db()
    assert batch.state == BatchState.CHECKING


def test_the_check_is_live_and_ends_with_the_whole_page(maintainer: Client) -> None:
    batch = BatchFactory(state=BatchState.CHECKING, progress=0.5, activity="decoding images: 12")
    address = reverse("desk-batch", args=[batch.pk])
    html = read(maintainer, address)
    assert 'hx-trigger="every 2s"' in html
    part = read(maintainer, address, **{"HX-Request": "true"})
    assert "decoding images: 12" in part
    assert "<html" not in part
    Batch.objects.update(state=BatchState.SEALED)
    assert maintainer.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    assert "hx-trigger" not in read(maintainer, address)


# The report


def test_the_report_says_what_was_rejected_and_what_looks_alike(maintainer: Client) -> None:
    html = read(maintainer, reverse("desk-batch", args=[sealed().pk]))
    assert "The file is no image that can be decoded." in html
    assert "broken/&lt;script&gt;.png" in html
    assert "<script>.png" not in html
    assert "Within the batch" in html
    assert "With published images" in html
    assert "1 between training and evaluation" in html
    assert "beyond 0.70" in html
    assert "0.981" in html
    assert "jpeg_quality" in html
    # The files tell more, but no container sees one: it is what participants get that decides.
    files, participants = html[html.index("The files as they came in") :].split("What participants get")[:2]
    assert '<span class="state ">' in files
    assert '<span class="state bad">' in participants
    assert "eval/012.png" in html


def test_every_figure_has_the_table_of_its_numbers(maintainer: Client) -> None:
    html = read(maintainer, reverse("desk-batch", args=[sealed().pk]))
    names = re.findall(r'data-figure="(\w+)-chart-data"', html)
    assert names == ["format", "jpeg_quality", "width", "height", "bytes"]
    for name, fakes, reals in [("format", 200, 300), ("jpeg_quality", 200, 300), ("width", 200, 300)]:
        part = html[html.index(f'id="{name}-chart-data"') :]
        assert f'<tfoot><tr><th scope="row">all</th><td class="number">{fakes}' in part
        assert f'<td class="number">{reals}</td></tr></tfoot>' in part
    assert "plotly.min.js" in html
    assert "plotly.min.js" not in read(maintainer, reverse("desk-batch", args=[sealed(audit={}).pk]))


@pytest.mark.parametrize(
    ("report", "audit"),
    [
        ({}, {}),
        ({"n_files": 3}, {"version": 1, "bound": 0.7, "reason": "There are no reals yet."}),
        ([], {"views": None, "distributions": []}),
        ({"n_files": "3", "rejected": "x", "n_rejected": 7}, {"views": {"originals": None}, "bound": None}),
        (
            {"n_files": 1, "near_duplicates": [None, {"place": []}, {"place": "moon"}]},
            {"distributions": {"width": {"edges": [1], "fakes": [1, 2], "reals": None}}, "views": {"x": 1}},
        ),
        (None, {"views": {"originals": {"auroc": "high", "features": {"width": None}}}, "exceeds": "yes"}),
    ],
)
def test_no_report_is_too_odd_to_be_shown(maintainer: Client, report: Any, audit: Any) -> None:
    batch = sealed()
    Batch.objects.filter(pk=batch.pk).update(report=report or {}, audit=audit)
    assert "sealed" in read(maintainer, reverse("desk-batch", args=[batch.pk]))


def test_an_undefined_audit_says_why(maintainer: Client) -> None:
    batch = sealed(audit={"version": 1, "bound": 0.7, "views": {}, "reason": "There are no reals yet."})
    assert "There are no reals yet." in read(maintainer, reverse("desk-batch", args=[batch.pk]))
    half = {**AUDIT, "views": {**AUDIT["views"], "participants": None}, "exceeds": False}
    batch = sealed(audit={**half, "reasons": {"participants": "There are fewer than 20 fakes."}})
    html = read(maintainer, reverse("desk-batch", args=[batch.pk]))
    assert "Undefined. There are fewer than 20 fakes." in html
    assert "<dt>shortcut audit</dt><dd><b>–</b></dd>" in html


def test_a_rejected_batch_says_why(maintainer: Client) -> None:
    batch = BatchFactory(
        state=BatchState.REJECTED, error_code="batch_empty", error_detail="Of 3 files none can be used."
    )
    html = read(maintainer, reverse("desk-batch", args=[batch.pk]))
    assert "Of 3 files none can be used." in html
    assert "No usable image is left in the batch." in html


# The contact sheet


PICTURES = {
    "image/jpeg": b"\xff\xd8\xff\xe0 and more",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBP and more",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_the_contact_sheet_is_a_picture_and_nothing_else(maintainer: Client, kind: str) -> None:
    batch = sealed(contact_sheet=store().put_bytes(PICTURES[kind]))
    assert f"/desk/batches/{batch.pk}/contact-sheet/" in read(
        maintainer, reverse("desk-batch", args=[batch.pk])
    )
    answer = maintainer.get(reverse("desk-batch-contact-sheet", args=[batch.pk]))
    assert b"".join(answer.streaming_content) == PICTURES[kind]  # type: ignore[attr-defined]
    answer.close()
    assert answer["Content-Type"] == kind
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "private" in answer["Cache-Control"]


def test_what_is_no_picture_is_not_served(maintainer: Client) -> None:
    page = store().put_bytes(b"<html><script>alert(1)</script></html>")
    for key in (page, "", "f" * 64):
        batch = sealed(contact_sheet=key)
        read(maintainer, reverse("desk-batch-contact-sheet", args=[batch.pk]), 404)


# Publication


def rendered(row: BenchmarkPreview, batch: Batch, **fields: Any) -> str:
    preview = replace(Preview(batch, False, "EUR", (row,), (), ()), **fields)
    form = Publication(needs_reason=False)
    return render_to_string("batches/publish.html", {"preview": preview, "batch": batch, "form": form})


def test_the_preview_says_what_starts_and_what_it_takes() -> None:
    batch = sealed()
    row = BenchmarkPreview(
        BenchmarkFactory(corpus=batch.corpus),
        "open",
        window=4,
        closes=True,
        needs_approval=True,
        n_detectors=4,
        arrival=PhaseCost(Phase.PREDICT, 3, 1, 61.0, None, None),
        closing=(
            PhaseCost(Phase.TRAIN, 4, 0, 3600.0, 3600.0, 2.5),
            PhaseCost(Phase.PREDICT, 5, 12, None, None, None),
        ),
        warnings=("Few images <b>.",),
    )
    html = rendered(row, batch)
    assert "Joins the open window, w4: 4 active detectors meet it before learning from it." in html
    assert "The window is full with it and closes" in html
    assert "training on it waits for a maintainer" in html
    assert "Cost, EUR" in html
    assert "Few images &lt;b&gt;." in html
    cells = [re.sub(r"<[^>]+>|\s+", " ", line.replace("\u202f", "")).split() for line in html.split("<tr>")]
    assert cells[2] == ["First", "contact", "3", "1", "61", "–", "–"]
    assert cells[3] == ["Training", "after", "the", "window", "closes", "4", "0", "3600", "3600", "2.50"]
    assert cells[4][:10] == ["Scoring", "after", "the", "window", "closes", "5", "12", "–", "–", "–"]
    automatic = rendered(replace(row, needs_approval=False, n_detectors=1), batch)
    assert "1 active detector meets it" in automatic
    assert "training on it begins at once" in automatic


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("first", "waits for the first"),
        ("waiting", "older than the frontier"),
        ("republished", "old scores stay with their edition"),
        ("pool", "join the pool of reals"),
    ],
)
def test_every_place_is_told_in_words(place: str, says: str) -> None:
    batch = sealed()
    cost = PhaseCost(Phase.TRAIN, 4, 8, 3600.0, None, None)
    html = rendered(BenchmarkPreview(BenchmarkFactory(), place, closing=(cost,)), batch)
    assert says in html
    assert "Training of the edition cut anew" in html


def test_one_button_publishes(maintainer: Client) -> None:
    batch = sealed(audit={})
    BenchmarkFactory(corpus=batch.corpus, name="Families")
    address = reverse("desk-batch-publish", args=[batch.pk])
    html = read(maintainer, address)
    assert "The benchmark has no edition yet" in html
    assert html.count("<textarea") == 0
    answer = maintainer.post(address, follow=True)
    assert "Published. Results appear as they come." in answer.content.decode()
    batch.refresh_from_db()
    assert batch.state == BatchState.PUBLISHED
    # A second click comes to the batch and changes nothing.
    assert maintainer.post(address)["Location"] == reverse("desk-batch", args=[batch.pk])
    assert Action.objects.filter(verb="batch published").count() == 1


def test_beyond_the_bound_a_reason_is_asked_for_and_kept(maintainer: Client) -> None:
    batch = sealed(audit=AUDIT)
    address = reverse("desk-batch-publish", args=[batch.pk])
    assert "Metadata alone tells these fakes from the reals" in read(maintainer, address)
    for empty in ({}, {"reason": "   "}):
        answer = maintainer.post(address, empty)
        assert answer.status_code in (200, 400)
        batch.refresh_from_db()
        assert batch.state == BatchState.SEALED
    assert "This field is required." in maintainer.post(address, {"reason": " "}).content.decode()
    maintainer.post(address, {"reason": "The makers publish PNG only <b>"})
    batch.refresh_from_db()
    assert batch.publication_reason == "The makers publish PNG only <b>"
    assert "The makers publish PNG only &lt;b&gt;" in read(maintainer, reverse("desk-batch", args=[batch.pk]))


def test_what_stands_against_it_is_told_and_the_button_rests(maintainer: Client) -> None:
    batch = sealed(audit={}, generator__withdrawn_at=timezone.now(), generator__withdrawal_reason="licence")
    address = reverse("desk-batch-publish", args=[batch.pk])
    html = read(maintainer, address)
    assert "was withdrawn: licence" in html
    assert re.search(r'<button class="primary" disabled>Publish', html)
    # Who sends the form all the same is refused by the server.
    assert "was withdrawn." in maintainer.post(address, follow=True).content.decode()
    batch.refresh_from_db()
    assert batch.state == BatchState.SEALED


# A generator's maintenance


def test_samples_are_shown_and_hidden(maintainer: Client) -> None:
    generator = GeneratorFactory()
    args = [generator.corpus.slug, generator.slug]
    assert "Show samples" in read(maintainer, reverse("desk-generator", args=args))
    for shown in (True, False):
        maintainer.post(reverse("desk-generator-samples", args=args), {"shown": str(shown).lower()})
        generator.refresh_from_db()
        assert generator.shows_samples is shown


def test_a_withdrawal_needs_a_reason_and_the_slug(maintainer: Client) -> None:
    generator = GeneratorFactory(slug="flux-3")
    args = [generator.corpus.slug, generator.slug]
    address = reverse("desk-generator-withdraw", args=args)
    for wrong in (
        {},
        {"withdraw-reason": "licence"},
        {"withdraw-reason": "licence", "withdraw-confirmation": "flux"},
        {"withdraw-reason": " ", "withdraw-confirmation": "flux-3"},
    ):
        assert maintainer.post(address, wrong).status_code == 400
        generator.refresh_from_db()
        assert not generator.is_withdrawn
    maintainer.post(address, {"withdraw-reason": "licence", "withdraw-confirmation": "flux-3"})
    generator.refresh_from_db()
    assert (generator.is_withdrawn, generator.withdrawal_reason) == (True, "licence")
    html = read(maintainer, reverse("desk-generator", args=args))
    assert "Withdrawn" in html
    assert "generator withdrawn" in html
    assert "Type flux-3" not in html


def test_a_release_date_is_corrected_with_a_reason(maintainer: Client) -> None:
    generator = GeneratorFactory(release_date=date(2024, 1, 31))
    args = [generator.corpus.slug, generator.slug]
    address = reverse("desk-generator-redate", args=args)
    assert (
        maintainer.post(address, {"redate-release_date": "2024-02-30", "redate-reason": "x"}).status_code
        == 400
    )
    assert maintainer.post(address, {"redate-release_date": "2024-02-01"}).status_code == 400
    maintainer.post(address, {"redate-release_date": "2024-02-01", "redate-reason": "the makers' post"})
    generator.refresh_from_db()
    assert generator.release_date == date(2024, 2, 1)
    html = read(maintainer, reverse("desk-generator", args=args))
    assert "2024-01-31 → 2024-02-01" in html
