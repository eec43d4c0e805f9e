"""What was freed is built again by the step that needs it: real sets, real containers."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection

from evaluator.data.evaluation import ensure_eval_set
from evaluator.data.training import ensure_training_window
from evaluator.tasks import work_off
from leaderboard.models import Artifact, ArtifactKind, Batch, Prediction, Submission
from leaderboard.selectors.desk import storage
from leaderboard.selectors.desk.storage import KEPT, Kind, take_inventory
from leaderboard.services.storage import storage_free
from leaderboard.store import store
from protocols.errors import RequestError
from protocols.states import RunState
from tests.evaluator.world import make_world, predictions, submit


@pytest.fixture(autouse=True)
def home(settings: LazySettings, tmp_path: Path) -> None:
    settings.HOME = tmp_path


def silent(*_: object) -> None:
    pass


@pytest.mark.django_db
def test_freed_sets_are_built_again_byte_for_byte() -> None:
    edition = make_world().editions.get()
    units = list(edition.units.all())
    windows = list(edition.windows.all())

    def build() -> list[tuple[str, ...]]:
        trained = [ensure_training_window(window, silent).files for window in windows]
        return [*trained, ensure_eval_set(units, silent).files]

    built = build()
    sources: dict[str, set[str]] = {}
    # Thumbnails were made when the batches came in.
    for artifact in Artifact.objects.exclude(kind=ArtifactKind.THUMBNAILS):
        sources.setdefault(artifact.kind, set()).update(artifact.sources)
    assert sources == {
        "train": {window.manifest for window in windows},
        "eval": {unit.manifest for unit in units},
        "frozen": set(Batch.objects.values_list("eval_shard", flat=True)),
    }
    before = take_inventory()
    freed = storage_free(Kind.ARTIFACTS, actor="ada")
    assert freed.size_bytes == sum(s.free_bytes for s in before.stocks if s.kind == Kind.ARTIFACTS) > 0
    # The next batch will be compared with the thumbnails.
    assert set(Artifact.objects.values_list("kind", flat=True)) == {ArtifactKind.THUMBNAILS}
    assert not any(store().exists(file) for files in built for file in files)
    assert build() == built
    after = take_inventory()
    assert after.n_missing == before.n_missing == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.container
def test_a_step_runs_after_everything_that_can_be_freed_was_freed(
    archive: Path, worker_settings: LazySettings
) -> None:
    benchmark = make_world()
    first = submit(benchmark, archive, "first")
    work_off("w")
    assert first.runs.get().state == RunState.SUCCEEDED
    for kind in Kind:
        if kind not in KEPT:
            storage_free(kind, actor="ada")
    # The next batch will be compared with the thumbnails.
    assert set(Artifact.objects.values_list("kind", flat=True)) == {ArtifactKind.THUMBNAILS}
    assert take_inventory().n_missing == 0, "nothing that is needed is gone"
    second = submit(benchmark, archive, "second", seed=200)
    work_off("w")
    run = second.runs.get()
    assert run.state == RunState.SUCCEEDED, run.error_detail
    assert not run.steps.filter(attempts__gt=1).exists()
    assert Prediction.objects.filter(step__run=run).count() == 2 * edition_units(second)
    assert Artifact.objects.filter(kind=ArtifactKind.TRAIN).count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.container
def test_freeing_again_and_again_disturbs_no_step_of_a_run(
    archive: Path, worker_settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not even a day of grace for what nothing refers to yet.
    monkeypatch.setattr(storage, "ORPHAN_AGE", timedelta(0))
    benchmark = make_world()
    submission = submit(benchmark, archive, "disturbed", seed=2)

    def work() -> None:
        work_off("w")
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    freed = dict.fromkeys(Kind, 0)
    while thread.is_alive():
        for kind in set(Kind) - set(KEPT):
            # It gives up when it can't hold the queue still.
            with suppress(RequestError):
                storage_free(kind, actor="ada")
                freed[kind] += 1
        time.sleep(0.1)
    thread.join()
    run = submission.runs.get()
    assert run.state == RunState.SUCCEEDED, run.error_detail
    assert {step.attempts for step in run.steps.all()} == {1}
    assert predictions().count() == 2 * edition_units(submission)
    assert min(n for kind, n in freed.items() if kind not in KEPT) > 10


def edition_units(submission: Submission) -> int:
    return submission.runs.get().edition.units.count()
