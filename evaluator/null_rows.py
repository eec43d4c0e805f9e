"""Computing the null rows of benchmarks: what every image scores that nobody has looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from django.db import transaction

from evaluator import worker
from evaluator.data.metadata import Original, of_originals
from evaluator.data.shortcuts import Sample, learned
from leaderboard.models import Edition, Image, NullRow, Unit
from leaderboard.services.null_rows import null_row_claim, null_row_write
from leaderboard.services.scores import Scores
from leaderboard.store import store
from protocols.errors import PlatformError
from protocols.plan import mounted_windows

# Of more training images a class the first in the order of their content hashes are looked at. They
# are as good as drawn at random, the same ones every time, and more of them tell the trees little.
MAX_A_CLASS = 10_000
UNDECIDED = 0.5

# The scores of the state after a window on some units.
Predictor = Callable[[int, Sequence[Unit]], Mapping[Unit, Scores]]


def null_row_next() -> bool:
    """Compute what one null row lacks on one edition; whether there was something.

    Any number of workers may call it at once, and one does the work. Nothing is written before
    everything is there, and nothing is locked that anybody waits for.
    """
    with transaction.atomic():
        missing = null_row_claim()
        if missing is None:
            return False
        predict = _predictor(missing.null_row, missing.edition)
        predicted = {}
        for window, units in missing.wanted().items():
            if worker.stopping.is_set():
                return False
            predicted[window] = predict(window, units)
        null_row_write(missing, predicted)
        return True


def _predictor(null_row: NullRow, edition: Edition) -> Predictor:
    return _metadata(edition) if null_row == NullRow.METADATA else lambda _, units: _undecided(units)


def _undecided(units: Sequence[Unit]) -> dict[Unit, Scores]:
    return {unit: np.full(unit.n_fakes + unit.n_reals, UNDECIDED) for unit in units}


def _metadata(edition: Edition) -> Predictor:
    """Trees that are fitted anew to what is mounted at a window, and see the originals' metadata alone."""
    benchmark = edition.benchmark
    manifests = dict(edition.windows.values_list("index", "manifest"))

    @cache
    def listed(window: int) -> dict[str, int]:
        """The labels of the images of a training list by content hash."""
        return {digest: label for digest, label, _ in store().read_json(manifests[window])["rows"]}

    @cache
    def evaluated(unit: Unit) -> list[Original]:
        manifest = store().read_json(unit.manifest)
        return _originals(benchmark.corpus_id, manifest["fakes"] + manifest["reals"])

    def predict(window: int, units: Sequence[Unit]) -> Mapping[Unit, Scores]:
        labels = _thinned(listed(w) for w in mounted_windows(benchmark.training_mode, window))
        if len(set(labels.values())) < 2:
            return _undecided(units)
        files = _originals(benchmark.corpus_id, list(labels))
        formats = sorted({file.format for file in files})
        tell = learned(Sample(np.array(list(labels.values())), of_originals(files, formats)))
        return {unit: tell(of_originals(evaluated(unit), formats)) for unit in units}

    return predict


def _thinned(lists: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """At most ``MAX_A_CLASS`` images a class of these lists, with their labels."""
    labels = {digest: label for each in lists for digest, label in each.items()}
    kept: dict[str, int] = {}
    for label in (0, 1):
        own = sorted(digest for digest, other in labels.items() if other == label)
        kept |= dict.fromkeys(own[:MAX_A_CLASS], label)
    return kept


def _originals(corpus_id: int, hashes: Sequence[str]) -> list[Original]:
    """The files of these images, in their order.

    Raises ``PlatformError('staging_failed')`` when one is not in the corpus.
    """
    rows = Image.objects.filter(corpus=corpus_id, content_hash__in=hashes).values_list(
        "content_hash", "width", "height", "source_bytes", "source_format", "jpeg_quality"
    )
    found = {row[0]: Original(*row[1:]) for row in rows}
    if missing := set(hashes) - found.keys():
        detail = f"{len(missing)} images of a list are not in the corpus, such as {min(missing)}."
        raise PlatformError("staging_failed", detail)
    return [found[digest] for digest in hashes]
