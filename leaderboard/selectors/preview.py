"""What publishing a batch would start, and what it would cost: shown before anybody presses the button.

Times are estimates: each detector's own container seconds an image so far, or the mean of the
others where it has none yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from django.conf import settings
from django.db.models import F, FloatField, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from leaderboard.models import (
    Batch,
    Benchmark,
    Closing,
    Edition,
    Generator,
    Prediction,
    Run,
    Step,
    TrainingMode,
)
from leaderboard.selectors.images import n_unpaired_reals
from leaderboard.selectors.seeds import planned_runs
from leaderboard.selectors.steps import CONTAINER
from leaderboard.selectors.timelines import newest_edition
from leaderboard.selectors.windows import (
    closed_windows,
    published_dates,
    timeline_anew,
    timeline_extended,
    unchanged_windows,
)
from protocols.contract import Phase
from protocols.states import ACTIVE_RUN, BatchState, SubmissionState

# A generator with less than this share of the images that the others have is pointed out.
FEW = 0.5
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class PhaseCost:
    """``n_steps`` would run a container, ``n_reused`` have their results already.

    ``container_s`` and ``gpu_s``: seconds; ``cost``: in the currency of the settings. ``None``
    where nothing has been measured, or no price is set.
    """

    phase: Phase
    n_steps: int
    n_reused: int
    container_s: float | None
    gpu_s: float | None
    cost: float | None


@dataclass(frozen=True)
class BenchmarkPreview:
    """What a publication means for one benchmark.

    ``place``: ``open`` (it joins the open window), ``waiting`` (older than the frontier) or
    ``republished`` (further images): both wait for an edition that is cut anew; ``first`` (there
    is no edition yet), ``pool`` (reals: nothing runs). ``window``: where it stands. ``closes``: the
    open window is full with it, and ``needs_approval`` says whether training then waits for a
    maintainer. ``arrival``: the first contacts. ``closing``: training and scoring after the
    window closed, or, for what waits, of the edition that is cut anew.
    """

    benchmark: Benchmark
    place: str
    window: int | None = None
    closes: bool = False
    needs_approval: bool = False
    n_detectors: int = 0
    arrival: PhaseCost | None = None
    closing: tuple[PhaseCost, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """``blockers`` say why it can't be published as things are, ``warnings`` what to think of first."""

    batch: Batch
    needs_reason: bool
    currency: str
    benchmarks: tuple[BenchmarkPreview, ...]
    warnings: tuple[str, ...]
    blockers: tuple[str, ...]


@dataclass(frozen=True)
class CutWindow:
    """A window as it would be cut; ``kept``: it is the same in the present edition, images and all."""

    index: int
    generators: tuple[Generator, ...]
    kept: bool
    is_open: bool


@dataclass(frozen=True)
class EditionPreview:
    """The edition that would be cut anew over all that is published.

    ``is_new`` is false when it is the present one. ``costs``: its training and scoring.
    """

    benchmark: Benchmark
    windows: tuple[CutWindow, ...]
    is_new: bool
    n_detectors: int
    costs: tuple[PhaseCost, ...]
    currency: str

    @property
    def can_open(self) -> bool:
        return self.is_new and any(not window.is_open for window in self.windows)


def edition_preview(benchmark: Benchmark) -> EditionPreview:
    """What cutting the windows anew would change, reuse and cost."""
    times = timeline_anew(benchmark)
    current = benchmark.editions.order_by("number").last()
    kept = unchanged_windows(benchmark, current, times.closed)
    generators = {generator.slug: generator for generator in benchmark.corpus.generators.all()}
    parts = [*times.closed, *([times.open] if times.open else [])]
    edition = newest_edition(benchmark)
    work = _Work(benchmark, edition) if edition else None
    return EditionPreview(
        benchmark=benchmark,
        windows=tuple(
            CutWindow(
                index=index,
                generators=tuple(generators[slug] for slug in members),
                kept=index < len(kept),
                is_open=index == len(times.closed),
            )
            for index, members in enumerate(parts)
        ),
        is_new=current is None or not len(kept) == len(times.closed) == current.windows.count(),
        n_detectors=work.n_detectors if work else 0,
        costs=work.steps(times.closed, len(kept)) if work else (),
        currency=settings.CURRENCY,
    )


def publication_preview(batch: Batch) -> Preview:
    """What would happen if ``batch`` were published now."""
    benchmarks = list(batch.corpus.benchmarks.select_related("corpus"))
    blockers = []
    if batch.state != BatchState.SEALED:
        blockers.append(f"The batch is {batch.state}; only a sealed one can be published.")
    if batch.generator and batch.generator.is_withdrawn:
        blockers.append(f"{batch.generator.name} was withdrawn: {batch.generator.withdrawal_reason}")
    if batch.generator and batch.n_eval == 0:
        blockers.append("There is no image for evaluation, so no detector could be scored on it.")
    previews = [_of_benchmark(batch, benchmark) for benchmark in benchmarks]
    for preview in previews:
        if preview.place == "open" and (missing := batch.n_eval - n_unpaired_reals(preview.benchmark)) > 0:
            blockers.append(
                f"{preview.benchmark.name}: {missing} more real images for evaluation are needed to pair "
                f"it with. Publish a batch of reals first."
            )
    return Preview(
        batch=batch,
        needs_reason=bool(batch.audit.get("exceeds")),
        currency=settings.CURRENCY,
        benchmarks=tuple(previews),
        warnings=tuple(_warnings(batch)),
        blockers=tuple(blockers),
    )


def _warnings(batch: Batch) -> list[str]:
    warnings = []
    if batch.n_train == 0:
        warnings.append("There is no image for training, so no detector will learn from it.")
    across = batch.report.get("n_near", {}).get("across", 0)
    if across:
        warnings.append(f"{across} near duplicates lie on both sides of training and evaluation.")
    return warnings


def _of_benchmark(batch: Batch, benchmark: Benchmark) -> BenchmarkPreview:
    edition = newest_edition(benchmark)
    if batch.generator is None:
        return BenchmarkPreview(benchmark, "pool")
    if edition is None:
        return BenchmarkPreview(benchmark, "first")
    work = _Work(benchmark, edition)
    warnings = tuple(_few(batch, benchmark))
    if batch.generator.batches.filter(state=BatchState.PUBLISHED).exists():
        return BenchmarkPreview(
            benchmark,
            "republished",
            n_detectors=work.n_detectors,
            closing=work.anew(batch),
            warnings=warnings,
        )
    newest = benchmark.editions.order_by("number").last() or edition
    dates = published_dates(benchmark) | {batch.generator.slug: batch.generator.release_date}
    times = timeline_extended(newest, dates)
    if batch.generator.slug in times.waiting:
        return BenchmarkPreview(
            benchmark, "waiting", n_detectors=work.n_detectors, closing=work.anew(batch), warnings=warnings
        )
    all_windows = [*times.closed, times.open]
    n_known = newest.windows.count()
    closes = len(times.closed) > n_known
    return BenchmarkPreview(
        benchmark=benchmark,
        place="open",
        window=next(k for k, window in enumerate(all_windows) if batch.generator.slug in window),
        closes=closes,
        needs_approval=closes and benchmark.closing == Closing.APPROVAL,
        n_detectors=work.n_detectors,
        arrival=work.arrival(batch),
        closing=work.steps(times.closed, n_known, batch) if closes else (),
        warnings=warnings,
    )


def _few(batch: Batch, benchmark: Benchmark) -> list[str]:
    """Warnings where the batch is much smaller than what the benchmark has of other generators."""
    warnings = []
    for field, purpose in (("n_train", "training"), ("n_eval", "evaluation")):
        others = list(
            Batch.objects.filter(
                corpus=benchmark.corpus_id, state=BatchState.PUBLISHED, generator__isnull=False
            )
            .exclude(generator=batch.generator)
            .order_by()
            .values("generator")
            .annotate(n_images=Sum(field))
            .values_list("n_images", flat=True)
        )
        own = getattr(batch, field)
        if others and own < FEW * median(others):
            effect = "detectors will learn less of it" if field == "n_train" else "intervals will be wide"
            warnings.append(
                f"{own:,} images for {purpose}; other generators have {median(others):,.0f}: {effect}."
            )
    return warnings


class _Work:
    """The steps of a benchmark's active detectors and what they took so far, by run: one for each seed."""

    def __init__(self, benchmark: Benchmark, edition: Edition) -> None:
        self.benchmark, self.edition = benchmark, edition
        self.runs = list(
            Run.objects.filter(edition=edition, state__in=ACTIVE_RUN, submission__null_row="")
            .filter(submission__state=SubmissionState.ACCEPTED)
            .order_by("pk")
        )
        self.n_detectors = len({run.submission_id for run in self.runs})
        self.unit_images = sum(unit.n_fakes + unit.n_reals for unit in edition.units.all())
        self._predict_s = self._seconds_per_image()
        self._last_training = self._last_trainings()
        self._window_images = list(edition.windows.values_list("n_images", flat=True))

    def arrival(self, batch: Batch) -> PhaseCost:
        """The first contacts of every active run with the batch's evaluation images and their reals."""
        seconds = [self._predicting(run.pk, 2 * batch.n_eval) for run in self.runs]
        return self._cost(Phase.PREDICT, len(self.runs), 0, seconds)

    def anew(self, batch: Batch) -> tuple[PhaseCost, ...]:
        """The edition that is cut anew with the batch; leading windows that stay the same are reused."""
        generator = batch.generator
        assert generator is not None
        dates = published_dates(self.benchmark) | {generator.slug: generator.release_date}
        closed = timeline_anew(self.benchmark, dates).closed
        n_same = 0
        for old, new in zip(closed_windows(self.edition), closed, strict=False):
            if set(old) != set(new) or generator.slug in new:
                break
            n_same += 1
        return self.steps(closed, n_same, batch)

    def steps(
        self, closed: Sequence[Sequence[str]], n_same: int, batch: Batch | None = None
    ) -> tuple[PhaseCost, ...]:
        """Training and scoring on the windows ``closed``, of which the first ``n_same`` are as they were.

        ``batch`` is counted as if it were published.
        """
        images = self._images_of_windows(closed, n_same, batch)
        known = {(run.submission_id, run.seed): run.pk for run in self.runs}
        planned = [(entry, known.get((entry.pk, seed))) for entry, seed in planned_runs(self.benchmark)]
        trainers = [run for entry, run in planned if Phase.TRAIN in entry.phases]
        training = [
            self._training(run, images, window) for run in trainers for window in range(n_same, len(closed))
        ]
        # Old checkpoints meet what they have not met; new ones meet everything.
        n_new = len(closed) - n_same
        unmet = 2 * batch.n_eval if batch else 0
        images_predicted = n_new * (self.unit_images + unmet) + n_same * unmet
        scoring = [self._predicting(run, images_predicted) for run in trainers]
        return (
            self._cost(Phase.TRAIN, len(training), len(trainers) * n_same, training),
            self._cost(
                Phase.PREDICT,
                len(trainers) * len(closed),
                (len(planned) - len(trainers)) * len(closed),
                scoring,
            ),
        )

    def _images_of_windows(
        self, closed: Sequence[Sequence[str]], n_same: int, batch: Batch | None
    ) -> list[int]:
        """Training images of each window: as listed, or the fakes of its generators with as many reals."""
        fakes = dict(
            Generator.objects.filter(corpus=self.benchmark.corpus_id, batches__state=BatchState.PUBLISHED)
            .annotate(n=Sum("batches__n_train"))
            .values_list("slug", "n")
        )
        if batch and batch.generator:
            fakes[batch.generator.slug] = fakes.get(batch.generator.slug, 0) + batch.n_train
        new = [2 * sum(fakes.get(slug, 0) for slug in window) for window in closed[n_same:]]
        return self._window_images[:n_same] + new

    def _training(self, run: int | None, images: Sequence[int], window: int) -> float | None:
        """Seconds of training at ``window``, in proportion to the images of the last training so far."""
        if run is None or run not in self._last_training:
            return None
        last, seconds = self._last_training[run]
        mounted = sum(images[: window + 1]) if self._is_cumulative else images[window]
        before = sum(self._window_images[: last + 1]) if self._is_cumulative else self._window_images[last]
        return seconds * mounted / before if before else None

    @property
    def _is_cumulative(self) -> bool:
        return self.benchmark.training_mode == TrainingMode.CUMULATIVE

    def _predicting(self, run: int | None, n_images: int) -> float | None:
        known = self._predict_s
        if not known:
            return None
        return n_images * (known[run] if run in known else fmean(known.values()))

    def _seconds_per_image(self) -> dict[int, float]:
        images = dict(
            Prediction.objects.filter(step__run__in=self.runs)
            .order_by()
            .values("step__run")
            .annotate(n=Sum(F("unit__n_fakes") + F("unit__n_reals")))
            .values_list("step__run", "n")
        )
        seconds = dict(
            Step.objects.filter(run__in=self.runs, phase=Phase.PREDICT, reused=False)
            .order_by()
            .values("run")
            .annotate(s=Sum(Cast(KeyTextTransform(CONTAINER, "timings"), FloatField())))
            .values_list("run", "s")
        )
        return {run: seconds[run] / n for run, n in images.items() if n and seconds.get(run)}

    def _last_trainings(self) -> dict[int, tuple[int, float]]:
        """Window and container seconds of each run's last training that ran a container."""
        steps = Step.objects.filter(run__in=self.runs, phase=Phase.TRAIN, timings__has_key=CONTAINER)
        return {
            run: (window, timings[CONTAINER])
            for run, window, timings in steps.order_by("window").values_list("run", "window", "timings")
        }

    def _cost(self, phase: Phase, n_steps: int, n_reused: int, seconds: Sequence[float | None]) -> PhaseCost:
        known = [value for value in seconds if value is not None]
        if not known:
            return PhaseCost(phase, n_steps, n_reused, None, None, None)
        budget = self.benchmark.budget(phase)
        # Steps without an estimate take what the others take on average.
        container_s = fmean(known) * len(seconds)
        gpu_s = container_s * budget.gpus
        price = container_s * budget.cpus * settings.CPU_HOUR_COST + gpu_s * settings.GPU_HOUR_COST
        return PhaseCost(
            phase, n_steps, n_reused, container_s, gpu_s, price / SECONDS_PER_HOUR if price else None
        )
