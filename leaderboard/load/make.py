"""Making a benchmark to measure the server with, and taking it away again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from leaderboard.load.copying import copy_in
from leaderboard.load.process import set_up
from leaderboard.load.rows import InventedRun, World, made, published_at
from leaderboard.load.simulation import N_IMAGES, N_UNITS, N_WINDOWS, PER_WINDOW, Traits
from leaderboard.models import (
    Batch,
    Benchmark,
    Board,
    BoardTouch,
    Corpus,
    Edition,
    EditionUnit,
    FirstContact,
    Generator,
    PeriodScore,
    Prediction,
    Run,
    RunInfluence,
    RunScore,
    RunTransfer,
    Step,
    Submission,
    Team,
    Unit,
    UnitScore,
    User,
    Window,
)
from leaderboard.services.boards import board_refresh
from leaderboard.store import store
from protocols.contract import Phase
from protocols.states import BatchState, RunState, SubmissionState

DESCRIPTION = (
    "Invented detectors on invented generators, made by `manage.py make_load` to measure the server."
)
# So many detectors keep the scores of single images, which their pages draw curves from.
N_KEPT = 5
# So many runs are made at once by a process, and so many of its answers may wait to be written.
CHUNK, WAITING = 50, 4
DETECTORS_A_TEAM = 25

FAMILIES = ("convolutional", "adversarial", "autoregressive", "diffusion", "flow", "transformer")
FIRST = ("amber", "birch", "cobalt", "dusk", "ember", "fern", "garnet", "hazel", "indigo", "juniper")
SECOND = ("heron", "otter", "lynx", "plover", "marten", "kestrel", "badger", "curlew", "stoat", "wren")
FIRST_RELEASE, MONTHS_APART_DAYS = date(2017, 3, 30), 77

Say = Callable[[str], None]
T = TypeVar("T")


class LoadError(RuntimeError):
    """The benchmark can't be made or taken away; the message says why."""


def load_make(slug: str, n_detectors: int, seed: int, *, processes: int = 1, say: Say = print) -> Benchmark:
    """Make the benchmark ``slug`` with its corpus, generators, teams, detectors and all their scores.

    All of it, or nothing, is there in the end. Raises ``LoadError`` if the name is taken.
    """
    for taken in (
        Benchmark.objects.filter(slug=slug),
        Corpus.objects.filter(slug=slug),
        Team.objects.filter(slug__startswith=f"{slug}-team-"),
        User.objects.filter(username=_username(slug)),
    ):
        if taken.exists():
            raise LoadError(f"There is a {taken.model._meta.verbose_name} of this name: choose another slug.")
    with transaction.atomic():
        edition = _timeline(slug)
        runs = list(_runs(edition, slug, n_detectors, seed))
        units = list(edition.units.order_by("pk").values_list("pk", "generator_id"))
        world = World(slug, seed, edition.pk, *([pair[i] for pair in units] for i in (0, 1)))
        say(f"{n_detectors} detectors with {len(runs)} runs on {N_UNITS} generators and {N_WINDOWS} windows")
        n_done = 0
        for n_runs, tables in _made(world, runs, processes):
            for table, (columns, lines) in tables.items():
                copy_in(table, columns, lines)
            n_done += n_runs
            if n_done % (20 * CHUNK) == 0 or n_done == len(runs):
                say(f"{n_done} of {len(runs)} runs")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    say("making the board")
    board_refresh(edition.benchmark)
    return edition.benchmark


def _username(slug: str) -> str:
    return f"{slug}-load"


def _timeline(slug: str) -> Edition:
    """The corpus with its generators and units, the benchmark, and an edition with all windows closed."""
    corpus = Corpus.objects.create(
        slug=slug, name=f"Invented corpus {slug}", description=DESCRIPTION, simulated=True
    )
    benchmark = Benchmark.objects.create(
        slug=slug,
        name=f"Load {slug}",
        corpus=corpus,
        description=DESCRIPTION,
        generators_per_window=PER_WINDOW,
    )
    Batch.objects.create(
        corpus=corpus,
        real_source="invented-camera",
        state=BatchState.PUBLISHED,
        n_train=N_UNITS * 4 * N_IMAGES,
        n_eval=N_UNITS * N_IMAGES,
        published_at=published_at(0),
    )
    generators = []
    for number in range(N_UNITS):
        family = FAMILIES[number % len(FAMILIES)]
        generator = Generator.objects.create(
            corpus=corpus,
            slug=f"invented-{number + 1:02}",
            name=f"Invented {number + 1:02} ({family})",
            family=family,
            release_date=FIRST_RELEASE + timedelta(days=MONTHS_APART_DAYS * number),
        )
        Batch.objects.create(
            corpus=corpus,
            generator=generator,
            state=BatchState.PUBLISHED,
            n_train=4 * N_IMAGES,
            n_eval=N_IMAGES,
            sealed_at=published_at(number // PER_WINDOW),
            published_at=published_at(number // PER_WINDOW),
        )
        generators.append(generator)
    edition = Edition.objects.create(
        benchmark=benchmark,
        number=1,
        manifest_hash=store().put_json({"slug": slug}),
        frontier=generators[-1].release_date,
        opened_at=published_at(0),
        settled_at=published_at(N_WINDOWS),
    )
    for index, members in enumerate(_chunks(generators, PER_WINDOW)):
        window = Window.objects.create(
            edition=edition,
            index=index,
            manifest=store().put_json({"window": index, "rows": []}),
            n_images=2 * PER_WINDOW * 4 * N_IMAGES,
        )
        window.generators.set(members)
    units = Unit.objects.bulk_create(
        Unit(
            benchmark=benchmark,
            generator=generator,
            manifest=store().put_json({"generator": generator.slug, "fakes": [], "reals": []}),
            n_fakes=N_IMAGES,
            n_reals=N_IMAGES,
        )
        for generator in generators
    )
    EditionUnit.objects.bulk_create(EditionUnit(edition=edition, unit=unit) for unit in units)
    return edition


def _runs(edition: Edition, slug: str, n_detectors: int, seed: int) -> Iterator[InventedRun]:
    """Teams and detectors with their runs, all of them finished; some detectors are withdrawn."""
    random = np.random.default_rng([seed, 5])
    owner = User.objects.create(username=_username(slug), is_active=False)
    teams = Team.objects.bulk_create(
        Team(slug=f"{slug}-team-{number}", name=f"Invented team {number}")
        for number in range(-(-n_detectors // DETECTORS_A_TEAM))
    )
    submissions = []
    traits = [Traits.drawn(seed, number) for number in range(n_detectors)]
    for number, drawn in enumerate(traits):
        sealed = published_at(0) - timedelta(days=30) + timedelta(days=float(random.uniform(0, 330)))
        has_cutoff, is_withdrawn = random.random() < 0.3, random.random() < 0.02
        submissions.append(
            Submission(
                owner=owner,
                team=teams[number // DETECTORS_A_TEAM],
                benchmark=edition.benchmark,
                name=f"{FIRST[number % 10]}-{SECOND[number // 10 % 10]}-{number:05}",
                description="An invented detector.",
                declared_cutoff=date(2023, 12, 31) if has_cutoff else None,
                state=SubmissionState.WITHDRAWN if is_withdrawn else SubmissionState.ACCEPTED,
                image_bytes=1_812_000_000,
                image_id=f"sha256:{number:064x}",
                phases=[phase.value for phase in Phase if drawn.is_trained or phase == Phase.PREDICT],
                sealed_at=sealed,
                accepted_at=sealed + timedelta(hours=1),
            )
        )
    Submission.objects.bulk_create(submissions, batch_size=1000)
    runs = Run.objects.bulk_create(
        [
            Run(
                submission=submission,
                edition=edition,
                seed=run_seed,
                state=RunState.SUCCEEDED,
                started_at=submission.accepted_at,
                finished_at=timezone.now(),
            )
            for submission, drawn in zip(submissions, traits, strict=True)
            for run_seed in range(drawn.n_seeds)
        ],
        batch_size=1000,
    )
    number_of = {submission.pk: number for number, submission in enumerate(submissions)}
    for run in runs:
        number = number_of[run.submission_id]
        sealed = submissions[number].sealed_at or timezone.now()
        yield InventedRun(run.pk, str(run.submission_id), number, run.seed, sealed, number < N_KEPT)


Tables = dict[str, tuple[list[str], list[str]]]


def _made(world: World, runs: Sequence[InventedRun], processes: int) -> Iterator[tuple[int, Tables]]:
    """The rows of all runs, a chunk after the other; what waits to be written is bounded."""
    chunks = list(_chunks(runs, CHUNK))
    if processes < 2:
        for chunk in chunks:
            yield len(chunk), made(world, chunk)
        return
    # A forked process would share this one's connection to the database.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=set_up) as pool:
        waiting: list[tuple[int, Future[Tables]]] = []
        for chunk in chunks:
            waiting.append((len(chunk), pool.submit(made, world, chunk)))
            if len(waiting) >= processes + WAITING:
                n_runs, future = waiting.pop(0)
                yield n_runs, future.result()
        for n_runs, future in waiting:
            yield n_runs, future.result()


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def load_delete(slug: str, *, say: Say = print) -> None:
    """Delete what :func:`load_make` made of this name, first contacts included. All of it, or nothing.

    The triggers that keep first contacts for good are off meanwhile, for this one transaction: these
    are the only ones that nobody ever achieved. Raises ``LoadError`` for anything that it did not make.
    """
    benchmark = Benchmark.objects.filter(slug=slug, corpus__slug=slug, description=DESCRIPTION).first()
    if benchmark is None:
        raise LoadError(f"There is no benchmark {slug} that make_load made.")
    entries = Submission.objects.filter(benchmark=benchmark)
    if entries.filter(null_row="").exclude(owner__username=_username(slug)).exists():
        raise LoadError(f"Somebody has entered a detector for {slug}, which would be lost.")
    runs = Run.objects.filter(submission__in=entries)
    with transaction.atomic():
        table = FirstContact._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_final")
        of_runs = (UnitScore, PeriodScore, RunScore, RunTransfer, RunInfluence)
        gone: list[Any] = [
            FirstContact.objects.filter(submission__in=entries),
            Prediction.objects.filter(unit__benchmark=benchmark),
            *(model._default_manager.filter(run__in=runs) for model in of_runs),
            Step.objects.filter(run__in=runs),
            runs,
            entries,
            Board.objects.filter(benchmark=benchmark),
            BoardTouch.objects.filter(benchmark=benchmark),
            EditionUnit.objects.filter(edition__benchmark=benchmark),
            Unit.objects.filter(benchmark=benchmark),
            Edition.objects.filter(benchmark=benchmark),
            Benchmark.objects.filter(pk=benchmark.pk),
            Batch.objects.filter(corpus__slug=slug),
            Generator.objects.filter(corpus__slug=slug),
            Corpus.objects.filter(slug=slug),
            Team.objects.filter(slug__startswith=f"{slug}-team-"),
            User.objects.filter(username=_username(slug)),
        ]
        for rows in gone:
            n, _ = rows.delete()
            say(f"{n} rows of {rows.model._meta.verbose_name_plural} and what hung on them")
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_final")
