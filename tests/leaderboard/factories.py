"""Factories for every model: a row in the state that a test asks for, with what that state implies."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

import factory
import numpy as np
from django.utils import timezone
from factory.django import DjangoModelFactory

from leaderboard.models import (
    Batch,
    Benchmark,
    Checkpoint,
    Corpus,
    Edition,
    Event,
    Generator,
    Image,
    PeriodScore,
    Prediction,
    Run,
    RunInfluence,
    RunScore,
    Split,
    Step,
    Submission,
    Unit,
    UnitScore,
    Upload,
    User,
    Window,
)
from leaderboard.services.teams import personal_team
from leaderboard.store import store
from protocols.contract import Phase
from protocols.states import BatchState, RunState, StepState, SubmissionState

PASSWORD = "a long enough phrase"


def digest(text: object) -> str:
    """A well-formed store key that differs for every ``text``."""
    return hashlib.sha256(str(text).encode()).hexdigest()


def store_key() -> Any:
    return factory.Sequence(lambda n: digest(f"key {n}"))


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user-{n}")
    password = factory.django.Password(PASSWORD)

    class Params:
        maintainer = factory.Trait(
            username=factory.Sequence(lambda n: f"maintainer-{n}"),
            is_staff=True,
        )


class CorpusFactory(DjangoModelFactory[Corpus]):
    class Meta:
        model = Corpus

    slug = factory.Sequence(lambda n: f"corpus-{n}")
    name = factory.LazyAttribute(lambda corpus: corpus.slug.replace("-", " ").title())


class GeneratorFactory(DjangoModelFactory[Generator]):
    """Each generator is released a month after the one made before it."""

    class Meta:
        model = Generator

    corpus = factory.SubFactory(CorpusFactory)
    slug = factory.Sequence(lambda n: f"generator-{n}")
    name = factory.LazyAttribute(lambda generator: generator.slug.replace("-", " ").title())
    family = "gan"
    release_date = factory.Sequence(lambda n: date(2018, 1, 1) + timedelta(days=30 * n))


class UploadFactory(DjangoModelFactory[Upload]):
    """A whole upload; ``content=b"…"`` names its bytes, and a larger ``length`` leaves it unfinished."""

    class Meta:
        model = Upload
        skip_postgeneration_save = True

    owner = factory.SubFactory(UserFactory)
    filename = "archive.tar"
    length = 7
    team = factory.LazyAttribute(lambda upload: personal_team(upload.owner))
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))

    @factory.post_generation
    def content(self: Upload, create: bool, extracted: bytes | None, **kwargs: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"archive" if extracted is None else extracted)


class BatchFactory(DjangoModelFactory[Batch]):
    """A published batch of fakes; ``real=True`` makes one of real images."""

    class Meta:
        model = Batch

    class Params:
        real = factory.Trait(generator=None, real_source=factory.Sequence(lambda n: f"camera-{n}"))

    corpus = factory.SubFactory(CorpusFactory)
    generator = factory.SubFactory(GeneratorFactory, corpus=factory.SelfAttribute("..corpus"))
    state = BatchState.PUBLISHED
    manifest_hash = store_key()
    train_shard = store_key()
    eval_shard = store_key()
    n_train = 40
    n_eval = 10
    sealed_at = factory.LazyFunction(timezone.now)
    published_at = factory.LazyAttribute(
        lambda batch: timezone.now() if batch.state == BatchState.PUBLISHED else None
    )


class ImageFactory(DjangoModelFactory[Image]):
    class Meta:
        model = Image

    batch = factory.SubFactory(BatchFactory)
    corpus = factory.SelfAttribute("batch.corpus")
    split = Split.TRAIN
    content_hash = store_key()
    shard_row = factory.Sequence(lambda n: n)
    width = 64
    height = 64
    source_format = "PNG"
    source_bytes = 4096


class BenchmarkFactory(DjangoModelFactory[Benchmark]):
    class Meta:
        model = Benchmark

    slug = factory.Sequence(lambda n: f"benchmark-{n}")
    name = factory.LazyAttribute(lambda benchmark: benchmark.slug.replace("-", " ").title())
    corpus = factory.SubFactory(CorpusFactory)
    generators_per_window = 2


class EditionFactory(DjangoModelFactory[Edition]):
    """An open, settled edition without windows; ``windows=n`` gives it n closed ones.

    Its frontier follows the windows that it is given, and its units those of ``UnitFactory``.
    """

    class Meta:
        model = Edition
        skip_postgeneration_save = True

    benchmark = factory.SubFactory(BenchmarkFactory)
    number = factory.Sequence(lambda n: n + 1)
    manifest_hash = store_key()
    frontier = date.min
    opened_at = factory.LazyFunction(timezone.now)
    settled_at = factory.LazyAttribute(lambda edition: edition.opened_at)

    @factory.post_generation
    def windows(self: Edition, create: bool, extracted: int | None, **kwargs: Any) -> None:
        for index in range(extracted or 0):
            WindowFactory(edition=self, index=index)


class WindowFactory(DjangoModelFactory[Window]):
    """A closed window with as many new, published generators as the benchmark asks for."""

    class Meta:
        model = Window
        skip_postgeneration_save = True

    edition = factory.SubFactory(EditionFactory)
    index = factory.Sequence(lambda n: n)
    # A training list without images, which is there to be read.
    manifest = factory.Sequence(lambda n: store().put_json({"window": n, "rows": []}))
    n_images = 160

    @factory.post_generation
    def generators(self: Window, create: bool, extracted: list[Generator] | None, **kwargs: Any) -> None:
        benchmark = self.edition.benchmark
        if extracted is None:
            extracted = [
                BatchFactory(corpus=benchmark.corpus).generator
                for _ in range(benchmark.generators_per_window)
            ]
        self.generators.set(extracted)
        edition = self.edition
        edition.frontier = max([edition.frontier, *(generator.release_date for generator in extracted)])
        edition.save(update_fields=["frontier"])


class UnitFactory(DjangoModelFactory[Unit]):
    """A unit that every edition of its benchmark is scored on; ``joins=False`` leaves it out."""

    class Meta:
        model = Unit
        skip_postgeneration_save = True

    benchmark = factory.SubFactory(BenchmarkFactory)
    generator = factory.SubFactory(GeneratorFactory, corpus=factory.SelfAttribute("..benchmark.corpus"))
    manifest = store_key()
    n_fakes = 10
    n_reals = 10

    @factory.post_generation
    def joins(self: Unit, create: bool, extracted: bool | None, **kwargs: Any) -> None:
        if extracted is not False:
            for edition in self.benchmark.editions.all():
                edition.units.add(self)


class SubmissionFactory(DjangoModelFactory[Submission]):
    """An accepted, public submission."""

    class Meta:
        model = Submission

    owner = factory.SubFactory(UserFactory)
    team = factory.LazyAttribute(lambda submission: personal_team(submission.owner))
    benchmark = factory.SubFactory(BenchmarkFactory)
    name = factory.Sequence(lambda n: f"detector-{n}")
    state = SubmissionState.ACCEPTED
    archive = store_key()
    image_id = factory.Sequence(lambda n: f"sha256:{digest(f'image {n}')}")
    image_bytes = 10_000_000
    phases = factory.LazyFunction(lambda: [Phase.TRAIN.value, Phase.PREDICT.value])
    sealed_at = factory.LazyFunction(timezone.now)
    accepted_at = factory.LazyAttribute(
        lambda submission: timezone.now() if submission.state == SubmissionState.ACCEPTED else None
    )

    class Params:
        draft = factory.Trait(
            state=SubmissionState.DRAFT,
            archive="",
            image_id="",
            image_bytes=0,
            phases=factory.LazyFunction(list),
            sealed_at=None,
        )


class RunFactory(DjangoModelFactory[Run]):
    class Meta:
        model = Run

    submission = factory.SubFactory(SubmissionFactory)
    edition = factory.SubFactory(
        EditionFactory, benchmark=factory.SelfAttribute("..submission.benchmark"), windows=2
    )
    seed = 0
    state = RunState.RUNNING
    started_at = factory.LazyFunction(timezone.now)
    finished_at = factory.LazyAttribute(
        lambda run: None if run.state in (RunState.QUEUED, RunState.RUNNING) else timezone.now()
    )


class StepFactory(DjangoModelFactory[Step]):
    class Meta:
        model = Step

    run = factory.SubFactory(RunFactory)
    phase = Phase.TRAIN
    window = factory.Sequence(lambda n: n % 30_000)
    state = StepState.READY
    key = store_key()
    ready_at = factory.LazyFunction(timezone.now)


class CheckpointFactory(DjangoModelFactory[Checkpoint]):
    class Meta:
        model = Checkpoint

    key = store_key()
    state_hash = store_key()
    size_bytes = 1_000_000


class EventFactory(DjangoModelFactory[Event]):
    """An event of a submission; name ``batch``, ``run`` or ``step`` with ``submission=None`` for another."""

    class Meta:
        model = Event

    submission = factory.SubFactory(SubmissionFactory)
    old = SubmissionState.DRAFT
    new = SubmissionState.CHECKING
    actor = "server"


class PredictionFactory(DjangoModelFactory[Prediction]):
    class Meta:
        model = Prediction

    state_key = store_key()
    unit = factory.SubFactory(UnitFactory)
    scores = factory.LazyAttribute(lambda p: bytes(8 * (p.unit.n_fakes + p.unit.n_reals)))


class MetricsFactory(DjangoModelFactory[Any]):
    """What period and unit scores share: ten fakes and ten reals, nine of each right."""

    class Meta:
        abstract = True

    roc_auc = 0.95
    roc_auc_variance = 0.0025
    average_precision = 0.95
    accuracy = 0.9
    balanced_accuracy = 0.9
    precision = 0.9
    recall = 0.9
    f1 = 0.9
    tnr = 0.9
    tp = 9
    tn = 9
    fp = 1
    fn = 1


class PeriodScoreFactory(MetricsFactory):
    class Meta:
        model = PeriodScore

    run = factory.SubFactory(RunFactory)
    window = 0
    period = "next"


class UnitScoreFactory(MetricsFactory):
    class Meta:
        model = UnitScore

    run = factory.SubFactory(RunFactory)
    window = 0
    unit = factory.SubFactory(UnitFactory, benchmark=factory.SelfAttribute("..run.edition.benchmark"))


class RunScoreFactory(DjangoModelFactory[RunScore]):
    class Meta:
        model = RunScore

    run = factory.SubFactory(RunFactory)
    period = "next"
    value = 0.9
    low = 0.85
    high = 0.95
    paper_value = 0.91
    n_windows = 1


class RunInfluenceFactory(DjangoModelFactory[RunInfluence]):
    """What 100 images add to a headline whose standard error is ``error``, each as much as the others.

    Vectors of different ``seed`` are as of detectors that have nothing in common.
    """

    class Meta:
        model = RunInfluence

    class Params:
        error = 0.005
        seed = factory.Sequence(int)

    run = factory.SubFactory(RunFactory)
    units = factory.LazyFunction(lambda: [1])
    n_pairs = 50
    values = factory.LazyAttribute(
        lambda o: (
            (np.random.default_rng(o.seed).choice([-1.0, 1.0], 100) * o.error / 10).astype("<f4").tobytes()
        )
    )
