"""The pages of arrivals and generators, the feed, and the JSON of the same numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from statistics import median

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leaderboard.models import Batch, Benchmark, FirstContact, Generator, Step, Submission, UnitScore
from leaderboard.selectors.arrivals import arrivals
from leaderboard.selectors.estimates import auroc
from leaderboard.selectors.generator_page import generator_report
from leaderboard.services.boards import boards_refresh
from leaderboard.store import store
from protocols import ranking
from protocols.states import BatchState, StepState
from tests.leaderboard.arrivals import REASON, arrive, audit, contact_sheet, meet, show, withdraw
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    CorpusFactory,
    GeneratorFactory,
    RunFactory,
    RunScoreFactory,
    SubmissionFactory,
)
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"
PAGE = "/b/families-v1/arrivals/"


def generator_of(world: World, slug: str) -> Generator:
    found: Generator = world.corpus.generators.get(slug=slug)
    return found


def page_of(slug: str) -> str:
    return f"/c/families/generators/{slug}/"


def read(client: Client, address: str, status: int = 200, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == status, address
    return response.content.decode()


def add_entries(world: World, n: int, slug: str = "flow-2") -> None:
    """Detectors that have met one generator, the later made the better."""
    unit = world.edition.units.get(generator__slug=slug)
    for i in range(n):
        submission = SubmissionFactory(benchmark=world.benchmark, name=f"more-{i:03}")
        run = RunFactory(submission=submission, edition=world.edition, state="succeeded")
        RunScoreFactory(run=run, value=0.55 + i / 1000)
        FirstContact.objects.create(
            submission=submission,
            seed=0,
            generator=unit.generator,
            unit=unit,
            edition=world.edition,
            window=3,
            state_key="0" * 64,
            prospective=False,
            roc_auc=0.6 + i / 1000,
            roc_auc_variance=0.0001,
            tp=10,
            tn=10,
            fp=0,
            fn=0,
        )
    boards_refresh(every=True)


def row_of(html: str, slug: str) -> str:
    return html.split(f'id="arrival-{slug}"')[1].split("</tr>")[0]


class TestArrivals:
    def test_numbers_are_those_of_the_public_first_contacts(self, world: World) -> None:
        flow = generator_of(world, "flow-2")
        rows = {row.generator.slug: row for row in arrivals(world.benchmark).rows}
        public = FirstContact.objects.filter(
            generator=flow, submission__in=world.succeeded, seed=0
        ).values_list("roc_auc", flat=True)
        met = rows["flow-2"].met
        # The best run of the first detector may be that of its other seed.
        assert met.n_met == len(public) == 3
        assert met.best >= max(public) - 0.05
        assert (rows["flow-2"].place.window, rows["flow-2"].place.is_open) == (4, True)
        assert (rows["patch-16"].place.window, rows["patch-16"].place.is_open) == (3, False)
        assert rows["nearest-2"].met.n_met == 0, "every detector is trained on it from the start"
        assert "sealed-next" not in rows

    def test_median_and_share(self, world: World) -> None:
        generator = arrive(world, n_met=3)
        (row,) = [row for row in arrivals(world.benchmark).rows if row.generator == generator]
        contacts = FirstContact.objects.filter(generator=generator, submission__visibility="public")
        known = list(contacts.values_list("roc_auc", flat=True))
        assert row.met.median == pytest.approx(median(known))
        assert row.met.prospective_share == 1.0
        Submission.objects.filter(pk=contacts[0].submission_id).update(visibility="private")
        (row,) = [row for row in arrivals(world.benchmark).rows if row.generator == generator]
        assert row.met.n_met == len(known) - 1, "what is private is in no public number"

    def test_the_newest_publication_is_first(self, world: World, client: Client) -> None:
        Batch.objects.filter(generator__slug="latent-8").update(
            published_at=timezone.now() + timedelta(hours=1)
        )
        html = read(client, PAGE)
        slugs = re.findall(r'id="arrival-([\w-]+)"', html)
        assert slugs[0] == "latent-8"
        assert len(slugs) == 17

    def test_it_is_live_while_first_contacts_come_in(self, world: World, client: Client) -> None:
        generator = arrive(world, n_met=1)
        html = read(client, PAGE)
        assert 'hx-trigger="every 3s"' in html
        assert "1 of 3" in row_of(html, generator.slug)
        partial = read(client, PAGE, **{"HX-Request": "true"})
        assert "<html" not in partial
        assert partial.strip() in html
        for step in Step.objects.filter(unit__generator=generator, state=StepState.READY):
            meet(step, 0.7)
        html = read(client, PAGE)
        assert "hx-trigger" not in html
        assert '<td class="number">3</td>' in row_of(html, generator.slug)

    def test_a_failed_first_contact_is_not_waited_for(self, world: World) -> None:
        generator = arrive(world, n_met=1)
        Step.objects.filter(unit__generator=generator, state=StepState.READY).update(state=StepState.FAILED)
        found = arrivals(world.benchmark)
        assert not found.is_live

    def test_a_waiting_generator_says_so(self, world: World, client: Client) -> None:
        old = GeneratorFactory(corpus=world.corpus, slug="old", release_date="2018-01-01")
        BatchFactory(corpus=world.corpus, generator=old)
        assert "waiting" in row_of(read(client, PAGE), "old")

    def test_a_withdrawn_one_shows_no_number(self, world: World, client: Client) -> None:
        withdraw(generator_of(world, "flow-2"))
        row = row_of(read(client, PAGE), "flow-2")
        assert "withdrawn" in row
        assert not re.search(r"0\.\d{3}", row)

    def test_before_anything_arrives(self, client: Client) -> None:
        benchmark = BenchmarkFactory()
        assert "No generator has arrived yet" in read(client, f"/b/{benchmark.slug}/arrivals/")
        read(client, "/b/nothing/arrivals/", 404)

    def test_queries_are_constant(self, world: World, django_assert_num_queries) -> None:
        with django_assert_num_queries(7):
            arrivals(world.benchmark)
        arrive(world)
        with django_assert_num_queries(7):
            arrivals(world.benchmark)

    def test_the_home_page_names_the_latest(self, world: World, client: Client) -> None:
        arrive(world, n_met=2)
        html = read(client, "/")
        assert html.index("Newcomer") < html.index("2 of 3 detectors have met it")
        assert 'type="application/atom+xml"' in html

    def test_the_json_is_that_of_the_page(self, world: World, client: Client) -> None:
        withdraw(generator_of(world, "vq-16"))
        data = client.get("/api/v1/benchmarks/families-v1/arrivals/").json()
        rows = arrivals(world.benchmark).rows
        assert [row["slug"] for row in data["rows"]] == [row.generator.slug for row in rows]
        assert [row["met"]["median"] for row in data["rows"]] == [row.met.median for row in rows]
        gone = next(row for row in data["rows"] if row["slug"] == "vq-16")
        assert gone["withdrawn_at"]
        assert gone["met"]["best"] is None
        assert data["simulated"] is True


class TestFeed:
    def feed(self, client: Client) -> ET.Element:
        response = client.get("/b/families-v1/arrivals.atom")
        assert response["Content-Type"] == "application/atom+xml; charset=utf-8"
        return ET.fromstring(response.content)

    def entry(self, client: Client, slug: str) -> dict[str, str]:
        (found,) = [
            entry
            for entry in self.feed(client).iter(f"{ATOM}entry")
            if entry.find(f"{ATOM}link").get("href").endswith(page_of(slug))
        ]
        return {child.tag.removeprefix(ATOM): child.text or "" for child in found}

    def test_it_has_what_atom_demands(self, world: World, client: Client) -> None:
        """RFC 4287: the elements that a feed and its entries must have, once each, with unique ids."""
        feed = self.feed(client)
        assert feed.tag == f"{ATOM}feed"
        for parent in (feed, *feed.iter(f"{ATOM}entry")):
            for name in ("id", "title", "updated"):
                (element,) = parent.findall(f"{ATOM}{name}")
                assert element.text
            assert datetime.fromisoformat(parent.find(f"{ATOM}updated").text).tzinfo
        assert feed.find(f"{ATOM}author/{ATOM}name").text == "Tidemark"
        (self_link,) = [link for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]
        assert self_link.get("href") == "http://testserver/b/families-v1/arrivals.atom"
        ids = [entry.find(f"{ATOM}id").text for entry in feed.iter(f"{ATOM}entry")]
        assert len(ids) == len(set(ids)) == 17
        assert all(link.startswith("tag:") for link in ids)
        newest = max(entry.find(f"{ATOM}updated").text for entry in feed.iter(f"{ATOM}entry"))
        assert feed.find(f"{ATOM}updated").text == newest

    def test_an_entry_is_updated_when_everybody_has_met_it(self, world: World, client: Client) -> None:
        generator = arrive(world, n_met=1)
        before = self.entry(client, generator.slug)
        assert before["title"] == "Newcomer has arrived"
        assert "median" not in before["summary"]
        for step in Step.objects.filter(unit__generator=generator, state=StepState.READY):
            meet(step, 0.7)
        Batch.objects.filter(generator=generator).update(published_at=timezone.now() - timedelta(days=1))
        after = self.entry(client, generator.slug)
        assert after["title"] == "Newcomer: met by 3 detectors"
        assert "median 0.700; 3 of 3 prospective" in after["summary"]
        assert after["id"] == before["id"]
        assert after["updated"] > after["published"]

    def test_a_withdrawal_is_news_without_numbers(self, world: World, client: Client) -> None:
        withdraw(generator_of(world, "flow-2"), "The <b>licence</b> ended & so did this.")
        entry = self.entry(client, "flow-2")
        assert entry["title"] == "Rectified flow was withdrawn"
        assert entry["summary"] == "Withdrawn: The <b>licence</b> ended & so did this."

    def test_readers_find_it_from_the_page(self, world: World, client: Client) -> None:
        html = read(client, PAGE)
        (href,) = re.findall(r'<link rel="alternate" type="application/atom\+xml"[^>]* href="([^"]+)"', html)
        assert client.get(href).status_code == 200

    def test_control_characters_do_not_break_it(self, world: World, client: Client) -> None:
        Generator.objects.filter(slug="flow-2").update(name="A\x0bB", family="\x01")
        Benchmark.objects.filter(pk=world.benchmark.pk).update(name="C\x00D".replace("\0", "\x1f"))
        assert self.feed(client).find(f"{ATOM}title").text.startswith("CD")
        assert "AB: met by" in self.entry(client, "flow-2")["title"]


class TestGenerator:
    def test_it_says_where_its_images_come_from(self, world: World, client: Client) -> None:
        html = read(client, page_of("lanczos-3"))
        for text in (
            "Lanczos ×3",
            "2021-05-11",
            "CC0-1.0",
            "https://example.org/families",
            "240 for training",
        ):
            assert text in html
        assert "This batch was not audited." in html

    def test_the_ranking_at_first_contact_and_now(self, world: World) -> None:
        generator = generator_of(world, "lanczos-3")
        (on,) = generator_report(generator).benchmarks
        met = [row for row in on.rows if row.contact]
        values = [row.contact.estimate.value for row in met]
        assert values == sorted(values, reverse=True)
        assert [row.rank for row in met] == [1 + sum(v > value for v in values) for value in values]
        first = met[0]
        run = Submission.objects.get(pk=first.entry.submission_id).runs.get(pk=first.entry.run_id)
        contact = FirstContact.objects.get(submission=run.submission, seed=run.seed, generator=generator)
        now = UnitScore.objects.get(run=run, unit__generator=generator, window=3)
        assert first.contact.estimate == auroc(contact)
        assert (first.contact.window, first.now.window, first.now.seen) == (1, 3, True)
        assert first.now.estimate == auroc(now)
        assert first.now.estimate != first.contact.estimate

    def test_what_has_failed_before_it_met_it_is_not_listed(self, world: World) -> None:
        (on,) = generator_report(generator_of(world, "lanczos-3")).benchmarks
        assert world.failed.pk not in {row.entry.submission_id for row in on.rows}
        (met,) = generator_report(generator_of(world, "bicubic-2")).benchmarks
        (failed,) = [row for row in met.rows if row.entry.submission_id == world.failed.pk]
        assert (failed.contact.window, failed.now) == (0, None)

    def test_a_private_entry_is_nobodys(self, world: World, client: Client) -> None:
        client.force_login(world.submitter)
        assert "unpublished-idea" not in read(client, page_of("lanczos-3"))

    def test_prospective_and_retrospective_are_told_apart(self, world: World, client: Client) -> None:
        html = read(client, page_of("flow-2"))
        assert html.count('<span class="kind prospective">prospective</span>') == 3
        assert '<span class="kind">retrospective</span>' not in html

    def test_the_audit_in_plain_words(self, world: World, client: Client) -> None:
        show(generator_of(world, "lanczos-3"))
        html = read(client, page_of("lanczos-3"))
        assert "On the files as they came: AUROC <b>0.983</b>" in html
        assert "On what detectors get: AUROC <b>0.812</b>" in html
        assert "beyond the bound" in html
        assert "<br>".join(REASON.split("\n")) in html
        Batch.objects.filter(generator__slug="flow-2").update(audit=audit(exceeds=False))
        html = read(client, page_of("flow-2"))
        assert "within the bound" in html
        assert "beyond" not in html
        # The bound is on what detectors get: where that is unknown, nothing is within it.
        half = audit(exceeds=False)
        half["views"]["participants"], half["reasons"] = None, {"participants": "There are fewer than 20."}
        Batch.objects.filter(generator__slug="flow-2").update(audit=half)
        html = read(client, page_of("flow-2"))
        assert "could not be measured. There are fewer than 20." in html
        assert "within the bound" not in html

    @pytest.mark.parametrize(
        "content",
        [
            {"version": 1, "bound": 0.7, "views": {"originals": None, "participants": None}, "exceeds": False,
             "reason": "There are no reals to compare with."},
            {"version": 1},
            {},
        ],
    )  # fmt: skip
    def test_an_audit_that_measured_nothing(self, world: World, client: Client, content: dict) -> None:
        Batch.objects.filter(generator__slug="flow-2").update(audit=content)
        html = read(client, page_of("flow-2"))
        assert ("no reals to compare with" in html) is bool(content.get("reason"))
        assert "within the bound" not in html

    def test_a_withdrawn_one_says_when_and_why_and_no_score(self, world: World, client: Client) -> None:
        generator = generator_of(world, "lanczos-3")
        key = show(generator)
        withdraw(generator, "The holder asked for it.")
        html = read(client, page_of("lanczos-3"))
        assert "Withdrawn on" in html
        assert "The holder asked for it." in html
        assert timezone.now().date().isoformat() in html
        assert not re.search(r"\b0\.\d{3}\b", html)
        assert key not in html
        read(client, f"/c/families/generators/lanczos-3/samples/{key}", 404)
        data = client.get("/api/v1/generators/families/lanczos-3/results/").json()
        assert (data["benchmarks"], data["samples"]) == ([], None)
        assert data["withdrawal_reason"] == "The holder asked for it."

    def test_the_rankings_are_live(self, world: World, client: Client) -> None:
        arrive(world, n_met=1)
        html = read(client, page_of("newcomer-1"))
        partial = read(client, page_of("newcomer-1"), **{"HX-Request": "true"})
        assert "<html" not in partial
        assert partial.strip() in html
        assert 'hx-trigger="every 3s"' in partial
        assert "of 3 detectors" in partial

    def test_one_that_is_only_announced_is_for_maintainers(self, world: World, client: Client) -> None:
        GeneratorFactory(corpus=world.corpus, slug="announced")
        read(client, page_of("announced"), 404)
        read(client, "/c/nowhere/generators/flow-2/", 404)
        client.force_login(world.maintainer)
        assert "not published yet" in read(client, page_of("announced"))

    def test_a_sealed_one_tells_nothing_of_its_images(self, world: World, client: Client) -> None:
        sealed = generator_of(world, "sealed-next")
        key = contact_sheet()
        sealed.batches.update(contact_sheet=key, audit=audit(exceeds=True))
        Generator.objects.filter(pk=sealed.pk).update(shows_samples=True)
        html = read(client, page_of("sealed-next"))
        assert "beyond the bound" not in html
        assert key not in html
        read(client, f"/c/families/generators/sealed-next/samples/{key}", 404)

    def test_hostile_names_stay_text(self, world: World, client: Client) -> None:
        evil = "<script>alert(1)</script>"
        generator = generator_of(world, "lanczos-3")
        show(generator)
        Generator.objects.filter(pk=generator.pk).update(
            name=evil, family=evil, source=f"javascript:alert(1) {evil}", licence=evil
        )
        generator.batches.update(publication_reason=evil)
        for address in (page_of("lanczos-3"), PAGE, "/"):
            html = read(client, address)
            assert "<script>alert" not in html, address
            assert 'href="javascript' not in html
        withdraw(generator, evil)
        assert "<script>alert" not in read(client, page_of("lanczos-3"))

    def test_the_json_is_that_of_the_page(self, world: World, client: Client) -> None:
        key = show(generator_of(world, "lanczos-3"))
        data = client.get("/api/v1/generators/families/lanczos-3/results/").json()
        report = generator_report(generator_of(world, "lanczos-3"))
        (on,) = report.benchmarks
        (shown,) = data["benchmarks"]
        assert shown["benchmark"] == "families-v1"
        assert [row["rank"] for row in shown["rows"]] == [row.rank for row in on.rows]
        assert shown["rows"][0]["contact"]["estimate"]["low"] == on.rows[0].contact.estimate.low
        assert shown["rows"][0]["now"] == {
            "estimate": {
                "value": on.rows[0].now.estimate.value,
                "low": on.rows[0].now.estimate.low,
                "high": on.rows[0].now.estimate.high,
            },
            "window": 3,
            "seen": True,
        }
        assert data["batches"][0]["audit"]["exceeds"] is True
        assert data["batches"][0]["publication_reason"] == REASON
        assert b"".join(client.get(data["samples"]).streaming_content) == store().read_bytes(key)
        assert key in data["samples"]

    def test_queries_are_constant(self, world: World, django_assert_num_queries) -> None:
        generator = generator_of(world, "flow-2")
        generator_report(generator)
        with django_assert_num_queries(12):
            generator_report(generator)
        add_entries(world, 60)
        generator_report(generator)
        with django_assert_num_queries(12):
            (on,) = generator_report(generator).benchmarks
        assert (on.n_rows, on.n_pages, len(on.rows)) == (63, 2, 50)

    def test_pages_follow_each_other_without_script(self, world: World, client: Client) -> None:
        add_entries(world, 60)
        first, second = read(client, page_of("flow-2")), read(client, page_of("flow-2") + "?page=2")
        assert 'href="?page=2#rankings" rel="next"' in first
        assert 'href="?page=1#rankings" rel="prev"' in second
        names = re.findall(r'<a href="/detectors/[^"]+">([^<]+)</a>', first + second)
        assert len(names) == len(set(names)) == 63
        assert names[3:10] == [f"more-{i:03}" for i in range(59, 52, -1)]
        # Beyond the last page there is the last one, and what is no page is the first.
        for page, same in (("9", second), ("x", first)):
            html = read(client, f"{page_of('flow-2')}?page={page}")
            assert html.split('id="rankings"')[1] == same.split('id="rankings"')[1]
        data = client.get("/api/v1/generators/families/flow-2/results/?page=2").json()["benchmarks"][0]
        assert (data["page"], data["n_pages"], data["n_rows"], len(data["rows"])) == (2, 2, 63, 13)
        assert data["rows"][0]["rank"] == 51
        assert data["rows"][0]["contact"]["window"] == 3

    def test_a_whole_column_is_ranked_as_the_protocol_ranks(self, world: World) -> None:
        add_entries(world, 30)
        (on,) = generator_report(generator_of(world, "flow-2")).benchmarks
        expected = ranking.rank(
            [
                ranking.Entry(str(row.entry.submission_id), e.value, e.low, e.high)
                for row in on.rows
                for e in [row.contact.estimate]
            ]
        )
        assert [(row.rank, row.rank_best, row.rank_worst) for row in on.rows] == [
            (place.rank, place.best, place.worst) for place in expected
        ]

    def test_null_rows_are_marked_and_never_ranked(self, world: World, client: Client) -> None:
        null = world.succeeded[0]
        Submission.objects.filter(pk=null.pk).update(null_row="constant")
        boards_refresh(every=True)
        (on,) = generator_report(generator_of(world, "lanczos-3")).benchmarks
        (row,) = [row for row in on.rows if row.entry.submission_id == null.pk]
        assert row.contact is not None
        assert (row.rank, row.rank_best, row.rank_worst) == (None, None, None)
        assert sorted(row.rank for row in on.rows if row.rank) == [1, 2]
        assert [(n.null_row, n.auroc) for n in on.spread.null_rows] == [
            ("constant", row.contact.estimate.value)
        ]
        assert on.spread.n == 2
        html = read(client, page_of("lanczos-3"))
        assert "null row, never ranked" in html
        assert '<span class="at of-null"' in html

    def test_the_strip_holds_how_first_contacts_lie(self, world: World, client: Client) -> None:
        add_entries(world, 2)
        (on,) = generator_report(generator_of(world, "flow-2")).benchmarks
        values = sorted(row.contact.estimate.value for row in on.rows)
        assert (on.spread.least, on.spread.most, on.spread.median) == (values[0], values[-1], values[2])
        assert (on.spread.quarter, on.spread.three_quarters) == (values[1], values[3])
        strip = read(client, page_of("flow-2")).split('class="strip"')[1].split("</dl>")[0]
        assert re.findall(r"<dd>([\d.]+)</dd>", strip) == [f"{value:.3f}" for value in values]
        (nobody,) = generator_report(generator_of(world, "nearest-2")).benchmarks
        assert nobody.spread is None

    def test_a_corpus_without_a_benchmark(self, client: Client) -> None:
        corpus = CorpusFactory(slug="alone")
        BatchFactory(corpus=corpus, generator=GeneratorFactory(corpus=corpus, slug="g"))
        assert "Shortcut audit" in read(client, "/c/alone/generators/g/")

    def test_a_second_benchmark_has_a_ranking_of_its_own(self, world: World, client: Client) -> None:
        Benchmark.objects.create(slug="second", name="Second", corpus=world.corpus)
        html = read(client, page_of("flow-2"))
        assert html.count("<h2>On ") == 2
        assert "No detector has met it yet." in html


class TestSamples:
    def address(self, world: World, key: str) -> str:
        return reverse("samples", args=["families", "lanczos-3", key])

    def test_they_are_a_picture_and_nothing_else(self, world: World, client: Client) -> None:
        key = show(generator_of(world, "lanczos-3"))
        html = read(client, page_of("lanczos-3"))
        assert f'<img src="{self.address(world, key)}"' in html
        response = client.get(self.address(world, key))
        assert b"".join(response.streaming_content) == store().read_bytes(key)
        assert response["Content-Type"] == "image/jpeg"
        assert response["Cache-Control"] == "public, max-age=2592000, immutable"
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Set-Cookie" not in response.headers

    def test_they_need_the_licence(self, world: World, client: Client) -> None:
        generator = generator_of(world, "lanczos-3")
        key = show(generator)
        Generator.objects.filter(pk=generator.pk).update(shows_samples=False)
        assert "<img" not in read(client, page_of("lanczos-3"))
        read(client, self.address(world, key), 404)
        client.force_login(world.maintainer)
        read(client, self.address(world, key), 404)

    def test_the_address_opens_nothing_else_of_the_store(self, world: World, client: Client) -> None:
        show(generator_of(world, "lanczos-3"))
        other = store().put_bytes(b"\xff\xd8\xff of somebody else")
        for key in (other, "0" * 64, "..", "x"):
            read(client, f"/c/families/generators/lanczos-3/samples/{key}", 404)

    @pytest.mark.parametrize("content", [b"<html><script>alert(1)</script>", b"", b"<svg onload='x'/>"])
    def test_what_is_no_picture_is_not_served(self, world: World, client: Client, content: bytes) -> None:
        show(generator_of(world, "lanczos-3"))
        key = store().put_bytes(content)
        Batch.objects.filter(generator__slug="lanczos-3").update(contact_sheet=key)
        read(client, self.address(world, key), 404)

    def test_one_that_was_freed_is_not_there(self, world: World, client: Client) -> None:
        show(generator_of(world, "lanczos-3"))
        Batch.objects.filter(generator__slug="lanczos-3").update(contact_sheet="f" * 64)
        read(client, self.address(world, "f" * 64), 404)

    def test_a_rejected_batch_shows_none(self, world: World, client: Client) -> None:
        key = show(generator_of(world, "lanczos-3"))
        Batch.objects.filter(generator__slug="lanczos-3").update(state=BatchState.REJECTED)
        read(client, self.address(world, key), 404)
