"""A board that looks like a real one: twelve detectors, four windows, and everything that can be under way.

Scores are drawn for every image and then go through the server's own scoring, so every
number on a page is consistent with every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.models import (
    Benchmark,
    Corpus,
    Edition,
    Event,
    Generator,
    Prediction,
    Run,
    Step,
    Submission,
    Unit,
    User,
)
from leaderboard.services.boards import boards_refresh
from leaderboard.services.scores import run_score, window_score
from protocols.contract import Phase
from protocols.states import BatchState, RunState, StepState, SubmissionState
from tests.leaderboard import factories

N_WINDOWS = 4
N_IMAGES = 60
START = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)

# slug, name, family, release date: four windows of four, then one in the open window.
GENERATORS = [
    ("nearest-2", "Nearest ×2", "nearest", "2017-03-30"),
    ("bilinear-2", "Bilinear ×2", "bilinear", "2017-07-28"),
    ("transposed-4", "Transposed convolution 4×4", "transposed convolution", "2017-10-27"),
    ("transposed-3", "Transposed convolution 3×3", "transposed convolution", "2018-06-19"),
    ("blockwise-8", "Blockwise quantisation 8×8", "quantisation", "2018-09-28"),
    ("pixel-shuffle", "Pixel shuffle", "sub-pixel", "2018-12-12"),
    ("bicubic-2", "Bicubic ×2", "bicubic", "2019-03-18"),
    ("nearest-blur", "Nearest ×2 with a binomial blur", "nearest", "2019-12-03"),
    ("spectrum-flat", "Spectrum regularised", "transposed convolution", "2020-06-19"),
    ("vq-16", "Vector-quantised patches 16×16", "quantisation", "2020-12-17"),
    ("lanczos-3", "Lanczos ×3", "lanczos", "2021-05-11"),
    ("residual-noise", "Residual noise with a long descriptive name", "diffusion", "2021-06-21"),
    ("latent-8", "Latent ×8", "latent", "2022-04-13"),
    ("latent-4", "Latent ×4", "latent", "2022-08-22"),
    ("cascade-2", "Cascade ×2 ×2", "diffusion", "2023-01-20"),
    ("patch-16", "Patch transformer 16", "transformer", "2023-07-04"),
    ("flow-2", "Rectified flow", "flow", "2024-08-02"),
]

# Name, skill on what it was trained on, skill on what is new, what it loses a window, seconds a step.
DetectorRow = tuple[str, float, float, float, float]
DETECTORS: list[DetectorRow] = [
    ("npr", 3.2, 1.9, 0.05, 412.0),
    ("durall-spectrum", 2.0, 1.2, 0.3, 38.0),
    ("cifake-cnn", 2.4, 0.7, 0.4, 187.0),
    ("constant", 0.0, 0.0, 0.0, 1.3),
    ("frequency-domain-attention-with-contrastive-pretraining-v2.1-final", 2.9, 1.6, 0.2, 1290.0),
    ("srm-lda", 1.6, 1.1, 0.1, 21.0),
    ("patchcraft", 3.0, 1.8, 0.1, 655.0),
    ("Übergangsdetektor (Größe S)", 2.2, 1.4, 0.2, 98.0),
    ("rigid", 0.9, 0.9, 0.0, 77.0),
    ("resnet50-scratch", 2.7, 0.9, 0.6, 840.0),
    ("fredect", 2.3, 1.5, 0.2, 120.0),
    ("dinov2-probe", 2.8, 2.1, 0.1, 233.0),
]
TRAINING_FREE = {"rigid"}

LOG = 'epoch 1/1  loss 0.693\n{"progress": 0.5}\nepoch 1/1  loss 0.412\n'


@dataclass(frozen=True)
class World:
    benchmark: Benchmark
    corpus: Corpus
    edition: Edition
    maintainer: User
    submitter: User
    succeeded: list[Submission]
    running: Submission
    queued: Submission
    failed: Submission
    private: Submission
    rejected: Submission


def build_world(*, simulated: bool = True, n_detectors: int = len(DETECTORS)) -> World:
    """Fill the database. The password of ``maintainer`` and ``submitter`` is ``factories.PASSWORD``."""
    maintainer = factories.UserFactory(username="ada", maintainer=True)
    submitter = factories.UserFactory(username="noor")
    # Hashing a password takes as long as all rows of a detector, and nobody signs in as these.
    others = [User.objects.create(username=name) for name in ("mkoda", "e.larsen", "vision-lab")]
    owners = [submitter, *others]
    corpus = factories.CorpusFactory(
        slug="families",
        name="Simulated families" if simulated else "Photographed families",
        simulated=simulated,
        description="Procedural images, each with the trace of one documented mechanism.",
    )
    benchmark = factories.BenchmarkFactory(
        slug="families-v1",
        name="Generator families",
        corpus=corpus,
        generators_per_window=4,
        description="Cumulative training, four generators a window.",
    )
    generators = [_generator(corpus, *row) for row in GENERATORS]
    sealed = _generator(corpus, "sealed-next", "Sealed and not yet published", "flow", "2025-01-15", None)
    factories.BatchFactory(corpus=corpus, generator=sealed, state=BatchState.SEALED)
    for source in ("dead-leaves", "office-camera"):
        factories.BatchFactory(corpus=corpus, real=True, real_source=source, n_train=2400, n_eval=1080)
    edition = factories.EditionFactory(benchmark=benchmark, number=1)
    for index in range(N_WINDOWS):
        members = generators[4 * index : 4 * index + 4]
        factories.WindowFactory(edition=edition, index=index, generators=members)
    units = [
        factories.UnitFactory(benchmark=benchmark, generator=g, n_fakes=N_IMAGES, n_reals=N_IMAGES)
        for g in generators
    ]
    board = _Board(edition, units)
    succeeded = [board.succeed(owners[i % 4], row) for i, row in enumerate(DETECTORS[:n_detectors])]
    board.run(succeeded[0], DETECTORS[0], seed=1)
    world = World(
        benchmark,
        corpus,
        edition,
        maintainer,
        submitter,
        succeeded,
        running=board.under_way(submitter, "patchcraft-192"),
        queued=board.queue(owners[2], "clip-probe"),
        failed=board.fail(submitter, "ensemble-of-everything"),
        private=board.succeed(submitter, ("unpublished-idea", 3.4, 2.4, 0.0, 300.0), visibility="private"),
        rejected=factories.SubmissionFactory(
            owner=submitter,
            benchmark=benchmark,
            name="wrong-labels",
            draft=True,
            state=SubmissionState.REJECTED,
            error_code="archive_labels",
            error_detail="The image carries io.tidemark.contract=2; this server speaks 1.",
        ),
    )
    boards_refresh()
    return world


def _generator(
    corpus: Corpus, slug: str, name: str, family: str, released: str, n_eval: int | None = N_IMAGES
) -> Generator:
    generator: Generator = factories.GeneratorFactory(
        corpus=corpus,
        slug=slug,
        name=name,
        family=family,
        release_date=date.fromisoformat(released),
        source="https://example.org/families",
        licence="CC0-1.0",
    )
    if n_eval is not None:
        factories.BatchFactory(corpus=corpus, generator=generator, n_train=240, n_eval=n_eval)
    return generator


class _Board:
    """Makes submissions with runs on one edition."""

    def __init__(self, edition: Edition, units: list[Unit]) -> None:
        self.edition = edition
        self.units = units
        self.random = np.random.default_rng(20)
        windows = edition.windows.prefetch_related("generators")
        self.window_of = {g.pk: w.index for w in windows for g in w.generators.all()}
        self.hardness = self.random.normal(0, 0.5, len(units))

    def succeed(self, owner: User, row: DetectorRow, *, visibility: str = "public") -> Submission:
        phases = [Phase.PREDICT] if row[0] in TRAINING_FREE else [Phase.TRAIN, Phase.PREDICT]
        submission = self._submission(owner, row[0], visibility=visibility, phases=phases)
        self.run(submission, row, seed=0)
        return submission

    def run(self, submission: Submission, row: DetectorRow, *, seed: int) -> None:
        run = self._run(
            submission,
            seed=seed,
            state=RunState.SUCCEEDED,
            finished_at=START + timedelta(seconds=8 * row[-1]),
        )
        self._finish(run, row, range(N_WINDOWS))
        run_score(run)

    def under_way(self, owner: User, name: str) -> Submission:
        """Two windows are done and the third is being trained."""
        submission = self._submission(owner, name)
        run = self._run(submission, state=RunState.RUNNING)
        self._finish(run, (name, 2.6, 1.5, 0.1, 310.0), range(2))
        self._save(
            self._step(
                run, Phase.TRAIN, 2, StepState.RUNNING, progress=0.42, activity="epoch 1, batch 420 of 1000"
            ),
            self._step(run, Phase.PREDICT, 2, StepState.WAITING),
            self._step(run, Phase.TRAIN, 3, StepState.WAITING),
            self._step(run, Phase.PREDICT, 3, StepState.WAITING),
        )
        return submission

    def queue(self, owner: User, name: str) -> Submission:
        submission = self._submission(owner, name)
        run = self._run(submission, state=RunState.QUEUED, started_at=None)
        first = self._step(run, Phase.TRAIN, 0, StepState.READY)
        phases = [(phase, window) for window in range(N_WINDOWS) for phase in (Phase.TRAIN, Phase.PREDICT)]
        self._save(first, *(self._step(run, *later, StepState.WAITING) for later in phases[1:]))
        return submission

    def fail(self, owner: User, name: str) -> Submission:
        """The first window is done; training of the second used too much memory."""
        submission = self._submission(owner, name)
        error = {
            "error_code": "container_oom",
            "error_detail": "The container used more than 6.0 GiB and was killed.",
        }
        run = self._run(submission, state=RunState.FAILED, finished_at=START + timedelta(hours=1), **error)
        self._finish(run, (name, 2.6, 1.5, 0.1, 310.0), range(1))
        self._save(
            self._step(
                run, Phase.TRAIN, 1, StepState.FAILED, progress=0.7, log_tail=LOG + "Killed\n", **error
            ),
            self._step(run, Phase.PREDICT, 1, StepState.CANCELLED),
        )
        return submission

    def _submission(self, owner: User, name: str, **fields: Any) -> Submission:
        submission: Submission = factories.SubmissionFactory(
            owner=owner,
            benchmark=self.edition.benchmark,
            name=name,
            description="Looks at the traces that up-sampling leaves.",
            paper_url="https://example.org/paper",
            code_url="https://example.org/code",
            declared_cutoff=date(2023, 12, 31),
            image_bytes=1_812_000_000,
            sealed_at=START - timedelta(hours=1),
            **fields,
        )
        for old, new in (("draft", "checking"), ("checking", "accepted")):
            Event.objects.create(submission=submission, old=old, new=new, actor="worker-1@host")
        return submission

    def _run(self, submission: Submission, **fields: Any) -> Run:
        run: Run = factories.RunFactory(
            submission=submission, edition=self.edition, **{"started_at": START, **fields}
        )
        return run

    def _finish(self, run: Run, row: DetectorRow, windows: range) -> None:
        """Steps, predictions and scores of the windows that a run has behind it."""
        trains = Phase.TRAIN in run.submission.phases
        for window in windows:
            key = factories.digest(f"state of run {run.pk} at {window}")
            steps = []
            if trains:
                steps.append(
                    self._step(run, Phase.TRAIN, window, StepState.SUCCEEDED, seconds=row[-1] * (window + 1))
                )
            reused = window > 0 and not trains
            seconds = None if reused else row[-1] / 4
            steps.append(
                self._step(
                    run, Phase.PREDICT, window, StepState.SUCCEEDED, seconds=seconds, key=key, reused=reused
                )
            )
            self._save(*steps)
            scores = {
                unit: self._scores(self._distance(i, unit, window, row)) for i, unit in enumerate(self.units)
            }
            Prediction.objects.bulk_create(
                Prediction(state_key=key, unit=unit, scores=values.tobytes())
                for unit, values in scores.items()
            )
            window_score(self.edition, window, scores).save(run, key)

    def _distance(self, position: int, unit: Unit, window: int, row: DetectorRow) -> float:
        """How far fakes lie from reals, in standard deviations of the score."""
        _, seen, new, loss, _ = row
        if seen == 0:
            return 0.0
        hardness = float(self.hardness[position])
        own = self.window_of.get(unit.generator_id, N_WINDOWS)
        if own <= window:
            return seen + 0.3 * hardness - loss * (window - own)
        return new + hardness - 0.25 * (own - window - 1)

    def _scores(self, distance: float) -> NDArray[np.float64]:
        """Fakes before reals, as scores in (0, 1); all ½ where nothing tells them apart."""
        if distance == 0:
            return np.full(2 * N_IMAGES, 0.5)
        places = np.repeat([distance / 2, -distance / 2], N_IMAGES)
        scores: NDArray[np.float64] = 1 / (1 + np.exp(-self.random.normal(places, 1.0)))
        return scores

    def _step(
        self,
        run: Run,
        phase: Phase,
        window: int,
        state: StepState,
        *,
        seconds: float | None = None,
        **fields: Any,
    ) -> Step:
        started = START + timedelta(hours=window, minutes=30 * (phase == Phase.PREDICT))
        done = state == StepState.SUCCEEDED
        has_begun = state in (StepState.RUNNING, StepState.SUCCEEDED, StepState.FAILED)
        step: Step = factories.StepFactory.build(
            run=run,
            phase=phase,
            window=window,
            state=state,
            timings={"prepare": 2.1, "stage": 0.3, "container": seconds, "score": 0.4} if seconds else {},
            started_at=started if has_begun else None,
            finished_at=started + timedelta(seconds=seconds or 1) if done else None,
            **{"progress": float(done), "log_tail": LOG if done and phase == Phase.TRAIN else "", **fields},
        )
        return step

    def _save(self, *steps: Step) -> None:
        Step.objects.bulk_create(steps)
        Event.objects.bulk_create(
            Event(step=step, old="ready", new=step.state, actor="worker-1@host")
            for step in steps
            if step.started_at is not None
        )
