"""What is freed is what nobody needs, and nothing else."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction
from django.utils import timezone

from leaderboard.models import (
    Action,
    Artifact,
    Batch,
    Checkpoint,
    Edition,
    Run,
    Step,
    Submission,
)
from leaderboard.selectors.desk import storage as selectors
from leaderboard.selectors.desk.storage import Inventory, Kind, Stock, inventory, take_inventory
from leaderboard.services import storage
from leaderboard.services.audit import Verb
from leaderboard.services.boards import board_refresh
from leaderboard.services.storage import storage_free
from leaderboard.store import store
from protocols.contract import Phase
from protocols.errors import RequestError
from protocols.states import BatchState, RunState, StepState, SubmissionState
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    CheckpointFactory,
    EditionFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
    UploadFactory,
    WindowFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: LazySettings, tmp_path: Path) -> Path:
    """A store of the test's own."""
    settings.HOME = tmp_path
    return tmp_path


def kept(text: str) -> str:
    """An object of the store."""
    return store().put_bytes(text.encode())


def state(*texts: str) -> str:
    """A state with files of these contents, as training leaves it."""
    return store().put_json([{"path": f"f{n}", "sha256": kept(text)} for n, text in enumerate(texts)])


def artifact(kind: str, *sources: str, files: list[str]) -> Artifact:
    return Artifact.objects.create(
        key=kept(f"key {kind} {sources}"), kind=kind, sources=list(sources), files=files, size_bytes=1
    )


def stock(kind: Kind) -> Stock:
    return next(stock for stock in take_inventory().stocks if stock.kind == kind)


def settled(**fields: Any) -> Edition:
    edition: Edition = EditionFactory(settled_at=timezone.now(), **fields)
    return edition


def finished_run(submission: Submission, edition: Edition, *states: str, **fields: Any) -> Run:
    """A run whose training left these states, with the checkpoints that hold them."""
    run: Run = RunFactory(submission=submission, edition=edition, **{"state": RunState.SUCCEEDED, **fields})
    for window, state_hash in enumerate(states):
        step = StepFactory(run=run, window=window, state=StepState.SUCCEEDED, state_hash=state_hash)
        CheckpointFactory(key=step.key, state_hash=state_hash)
    return run


# Artifacts


def test_artifacts_of_windows_that_no_live_step_mounts_go() -> None:
    edition = settled()
    windows = [WindowFactory(edition=edition, index=index) for index in range(3)]
    built = [artifact("train", w.manifest, files=[kept(f"window {w.index}")]) for w in windows]
    run = RunFactory(edition=edition, submission__benchmark=edition.benchmark)
    # It began long after the sets had been built.
    later = timezone.now() + timedelta(hours=1)
    StepFactory(run=run, phase=Phase.TRAIN, window=1, state=StepState.RUNNING, started_at=later)
    freed = storage_free(Kind.ARTIFACTS, actor="ada")
    # Cumulative training at window 1 mounts windows 0 and 1.
    assert list(Artifact.objects.order_by("pk")) == built[:2]
    assert [store().exists(each.files[0]) for each in built] == [True, True, False]
    assert (freed.n_objects, freed.size_bytes) == (1, len("window 2"))


@pytest.mark.parametrize("live", [StepState.WAITING, StepState.READY, StepState.RUNNING])
def test_evaluation_sets_stay_while_a_prediction_of_their_benchmark_is_live(live: StepState) -> None:
    mine, other = UnitFactory(), UnitFactory()
    batch = BatchFactory(corpus=mine.benchmark.corpus)
    needed = [
        artifact("eval", mine.manifest, files=[kept("evaluation set")]),
        artifact("frozen", batch.eval_shard, files=[kept("frozen")]),
    ]
    artifact("eval", other.manifest, files=[kept("another's")])
    run = RunFactory(submission__benchmark=mine.benchmark, edition=settled(benchmark=mine.benchmark))
    step = StepFactory(run=run, phase=Phase.PREDICT, window=0, state=live)
    storage_free(Kind.ARTIFACTS, actor="ada")
    assert list(Artifact.objects.order_by("pk")) == needed
    Step.objects.filter(pk=step.pk).update(state=StepState.CANCELLED)
    storage_free(Kind.ARTIFACTS, actor="ada")
    assert not Artifact.objects.exists()


def test_thumbnails_stay_for_the_next_comparison_and_go_with_a_batch_that_is_turned_down() -> None:
    known, refused = BatchFactory(), BatchFactory(state=BatchState.CHECKING)
    needed = artifact("thumbnails", known.train_shard, files=[kept("thumbnails")])
    artifact("thumbnails", refused.train_shard, files=[kept("of a batch that is turned down")])
    assert storage_free(Kind.ARTIFACTS, actor="ada").n_objects == 0
    Batch.objects.filter(pk=refused.pk).update(state=BatchState.REJECTED)
    assert storage_free(Kind.ARTIFACTS, actor="ada").n_objects == 1
    assert list(Artifact.objects.all()) == [needed]


def test_an_object_goes_with_the_last_row_that_names_it() -> None:
    shared = kept("the same bytes")
    unit = UnitFactory()
    run = RunFactory(submission__benchmark=unit.benchmark, edition=settled(benchmark=unit.benchmark))
    step = StepFactory(run=run, phase=Phase.PREDICT, window=0)
    artifact("eval", unit.manifest, files=[shared])
    artifact("eval", UnitFactory().manifest, files=[shared])
    assert storage_free(Kind.ARTIFACTS, actor="ada").n_objects == 0
    assert store().exists(shared)
    SubmissionFactory(archive=shared)
    Step.objects.filter(pk=step.pk).delete()
    assert storage_free(Kind.ARTIFACTS, actor="ada").n_objects == 0
    assert not Artifact.objects.exists()
    assert store().exists(shared), "an archive is the same object"


def test_what_running_work_may_just_have_put_there_stays() -> None:
    written = artifact("train", kept("list"), files=[kept("written while a step runs")])
    StepFactory(state=StepState.RUNNING, started_at=timezone.now())
    assert storage_free(Kind.ARTIFACTS, actor="ada").n_objects == 0
    # Nobody names it any more; the worker that may be about to do so finds it.
    assert not Artifact.objects.exists()
    assert store().exists(written.files[0])


# Checkpoints


def test_states_of_superseded_runs_go_and_all_others_stay() -> None:
    benchmark = BenchmarkFactory()
    first, second = settled(benchmark=benchmark, number=1), settled(benchmark=benchmark, number=2)
    submission = SubmissionFactory(benchmark=benchmark)
    superseded = state("old weights", "backbone")
    shared = state("window 0")
    finished_run(submission, first, shared, superseded)
    newest = state("new weights", "backbone")
    finished_run(submission, second, shared, newest)
    failed = SubmissionFactory(benchmark=benchmark)
    only = state("the only one that it has")
    finished_run(failed, first, only)
    RunFactory(submission=failed, edition=second, state=RunState.FAILED)
    freed = storage_free(Kind.CHECKPOINTS, actor="ada")
    assert freed.n_objects == 2, "the list and one file; the backbone is in the newest state too"
    assert set(Checkpoint.objects.values_list("state_hash", flat=True)) == {shared, newest, only}
    for state_hash in (shared, newest, only):
        for entry in store().read_json(state_hash):
            assert store().exists(entry["sha256"])
    assert not store().exists(superseded)


@pytest.mark.parametrize("why", ["unsettled", "running", "first contact", "key"])
def test_a_state_that_may_be_needed_stays(why: str) -> None:
    benchmark = BenchmarkFactory()
    old = settled(benchmark=benchmark, number=1)
    new = EditionFactory(
        benchmark=benchmark, number=2, settled_at=None if why == "unsettled" else timezone.now()
    )
    submission = SubmissionFactory(benchmark=benchmark)
    old_state = state("old")
    run = finished_run(submission, old, old_state)
    finished_run(
        submission, new, state("new"), state=RunState.RUNNING if why == "unsettled" else RunState.SUCCEEDED
    )
    if why == "running":
        Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING)
    elif why == "first contact":
        unit = UnitFactory(benchmark=benchmark)
        StepFactory(run=run, phase=Phase.PREDICT, window=0, unit=unit, state=StepState.READY)
    elif why == "key":
        # Another run is about to take the checkpoint as its own result.
        StepFactory(key=run.steps.get().key, state=StepState.READY)
    assert storage_free(Kind.CHECKPOINTS, actor="ada").n_objects == 0
    assert Checkpoint.objects.filter(state_hash=old_state).exists()
    assert store().exists(old_state)


# Archives, shards, orphans, uploads


def test_archives_of_what_is_over_and_shards_of_what_was_turned_down_go() -> None:
    stays = SubmissionFactory(archive=kept("accepted"))
    goes = SubmissionFactory(archive=kept("withdrawn"), state=SubmissionState.WITHDRAWN)
    runs = SubmissionFactory(archive=kept("withdrawn and running"), state=SubmissionState.WITHDRAWN)
    StepFactory(run__submission=runs, state=StepState.READY)
    assert storage_free(Kind.ARCHIVES, actor="ada").n_objects == 1
    assert [store().exists(s.archive) for s in (stays, goes, runs)] == [True, False, True]
    assert Submission.objects.get(pk=goes.pk).archive == ""

    batches = {
        state: BatchFactory(
            state=state,
            train_shard=kept(f"train {state}"),
            eval_shard="",
            contact_sheet=kept(f"sheet {state}"),
        )
        for state in (BatchState.SEALED, BatchState.PUBLISHED, BatchState.REJECTED)
    }
    assert storage_free(Kind.SHARDS, actor="ada").n_objects == 2
    assert {state for state, batch in batches.items() if store().exists(batch.train_shard)} == {
        BatchState.SEALED,
        BatchState.PUBLISHED,
    }


def age(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day passes: change times can't be set, so the bound moves instead."""
    monkeypatch.setattr(selectors, "ORPHAN_AGE", timedelta(0))
    time.sleep(0.02)
    assert path.exists()


def test_orphans_go_after_a_day_and_what_rows_name_never(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit, window = UnitFactory(manifest=kept("unit")), WindowFactory(manifest=kept("window"))
    batch = BatchFactory(train_shard=kept("t"), eval_shard=kept("e"), contact_sheet=kept("c"))
    submission = SubmissionFactory(archive=kept("a"))
    checkpoint = CheckpointFactory(state_hash=state("weights"))
    built = artifact("train", "", files=[kept("set")])
    orphan = kept("nobody's")
    half = store().scratch(".arrow")
    assert storage_free(Kind.ORPHANS, actor="ada").n_objects == 0
    age(store().path(orphan), monkeypatch)
    assert stock(Kind.ORPHANS).n_free == 3, "the artifact's key was put there too"
    assert storage_free(Kind.ORPHANS, actor="ada").n_objects == 3
    assert not store().exists(orphan)
    assert not half.exists()
    for key in (
        *(unit.manifest, window.manifest, batch.train_shard, batch.eval_shard, batch.contact_sheet),
        *(submission.archive, checkpoint.state_hash, *built.files),
        *(entry["sha256"] for entry in store().read_json(checkpoint.state_hash)),
    ):
        assert store().exists(key)


def test_an_orphan_that_somebody_wants_again_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = kept("a list")
    age(store().path(orphan), monkeypatch)
    before = store().path(orphan).stat()
    assert kept("a list") == orphan
    after = store().path(orphan).stat()
    assert after.st_ctime_ns > before.st_ctime_ns
    assert after.st_mtime_ns == before.st_mtime_ns
    assert after.st_ino == before.st_ino


def test_uploads_that_nobody_needs_go() -> None:
    spent = UploadFactory(expires_at=timezone.now() - timedelta(days=1), content=b"12345")
    live = UploadFactory(content=b"123")
    assert (stock(Kind.UPLOADS).size_bytes, stock(Kind.UPLOADS).free_bytes) == (8, 5)
    freed = storage_free(Kind.UPLOADS, actor="ada")
    assert (freed.n_objects, freed.size_bytes) == (1, 5)
    assert not spent.path.exists()
    assert live.path.exists()


# The whole


def test_every_field_that_holds_a_store_key_is_known_here() -> None:
    """A new field of 64 characters is a store key that must be looked after, or is named here."""
    keys = {
        ("Batch", "train_shard"),
        ("Batch", "eval_shard"),
        ("Batch", "contact_sheet"),
        ("Submission", "archive"),
        ("Window", "manifest"),
        ("Unit", "manifest"),
        ("Checkpoint", "state_hash"),
        # Of a step only as long as a checkpoint or a step that may need it names it too.
        ("Step", "state_hash"),
    }
    hashes = {
        ("Artifact", "key"),
        ("Batch", "manifest_hash"),
        ("Board", "digest"),
        ("Edition", "manifest_hash"),
        ("Image", "content_hash"),
        ("Step", "key"),
        ("Checkpoint", "key"),
        ("Prediction", "state_key"),
        ("FirstContact", "state_key"),
        ("Subscription", "token"),
        ("IdempotencyKey", "fingerprint"),
        ("Upload", "sha256"),
    }
    found = {
        (model.__name__, field.name)
        for model in apps.get_app_config("leaderboard").get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.CharField) and field.max_length == 64
    }
    assert found - hashes - keys == set()
    assert keys <= found


@pytest.mark.parametrize("kind", [Kind.LISTS, Kind.BOARDS])
def test_what_scores_mean_and_what_may_be_cited_is_never_freed(kind: Kind) -> None:
    with pytest.raises(RequestError) as error:
        storage_free(kind, actor="ada")
    assert error.value.code == "nothing_to_free"


def test_freeing_is_logged_with_what_it_brought() -> None:
    artifact("train", "", files=[kept("twelve bytes")])
    storage_free(Kind.ARTIFACTS, actor="ada")
    action = Action.objects.get()
    assert (action.actor, action.verb, action.subject) == ("ada", Verb.STORAGE_FREED, "artifacts")
    assert action.detail == {"n_objects": 1, "size_bytes": 12}


def test_the_inventory_counts_each_object_once_and_tells_what_is_missing() -> None:
    shared = kept("both")
    SubmissionFactory(archive=shared)
    BatchFactory(train_shard=shared, eval_shard=kept("e"), contact_sheet="")
    UnitFactory(manifest="f" * 64)
    taken = take_inventory()
    by_kind = {stock.kind: stock for stock in taken.stocks}
    assert (by_kind[Kind.ARCHIVES].n_objects, by_kind[Kind.ARCHIVES].size_bytes) == (1, 4)
    assert (by_kind[Kind.SHARDS].n_objects, by_kind[Kind.SHARDS].size_bytes) == (1, 1)
    assert by_kind[Kind.LISTS].n_missing == 1
    board = board_refresh(EditionFactory().benchmark)
    assert board is not None
    boards = next(stock for stock in take_inventory().stocks if stock.kind == Kind.BOARDS)
    assert (boards.n_objects, boards.size_bytes) == (1, len(bytes(board.table)))
    assert taken.n_missing == 1
    assert set(by_kind) == set(Kind)
    assert taken.disk_bytes > taken.disk_free_bytes > 0


def test_an_inventory_is_shared_for_five_minutes(home: Path) -> None:
    first = inventory()
    SubmissionFactory(archive=kept("more"))
    assert inventory() == first
    assert inventory(timedelta(0)).size_bytes == first.size_bytes + 4
    (home / "inventory.json").write_text("{}")
    assert isinstance(inventory(), Inventory)
    assert json.loads((home / "inventory.json").read_text())["stocks"]


def test_the_command_shows_and_frees() -> None:
    artifact("train", "", files=[kept("x" * 3000)])
    output = StringIO()
    call_command("storage", stdout=output)
    assert "2.9 KB" in output.getvalue()
    output = StringIO()
    call_command("storage", "--free", "artifacts", stdout=output)
    assert "Freed 1 of artifacts: 2.9 KB." in output.getvalue()
    assert Action.objects.get().actor == "server"
    with pytest.raises(CommandError):
        call_command("storage", "--free", "lists")


# Under the lock


@pytest.mark.django_db(transaction=True)
def test_while_somebody_holds_a_step_freeing_gives_up_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "PATIENCE_S", 0.5)
    step = StepFactory()
    built = artifact("train", "", files=[kept("set")])
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Step.objects.select_for_update().get(pk=step.pk)
            holding.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(10)
        with pytest.raises(RequestError) as error:
            storage_free(Kind.ARTIFACTS, actor="ada")
        assert error.value.code == "conflict"
    finally:
        done.set()
        thread.join()
    assert Artifact.objects.filter(pk=built.pk).exists()
    assert store().exists(built.files[0])
    assert not Action.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_no_step_changes_hands_while_a_kind_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    step = StepFactory()
    artifact("train", "", files=[kept("set")])
    inside, go_on = threading.Event(), threading.Event()
    delete = storage._delete

    def slow(*arguments: Any) -> Any:
        inside.set()
        go_on.wait(30)
        return delete(*arguments)

    monkeypatch.setattr(storage, "_delete", slow)

    def free() -> None:
        storage_free(Kind.ARTIFACTS, actor="ada")
        connection.close()

    thread = threading.Thread(target=free)
    thread.start()
    try:
        assert inside.wait(10)
        # Reading goes on.
        assert Step.objects.get(pk=step.pk).state == StepState.READY
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '300ms'")
        with pytest.raises(Exception, match="lock timeout"):
            Step.objects.filter(pk=step.pk).update(state=StepState.RUNNING)
    finally:
        go_on.set()
        thread.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert Step.objects.filter(pk=step.pk).update(state=StepState.RUNNING) == 1


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_to_free_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication holds its batch while it makes runs, which look at their submissions."""
    batch, submission = BatchFactory(), SubmissionFactory()
    edition = EditionFactory(benchmark=submission.benchmark)
    holding, done = threading.Event(), threading.Event()
    freed: list[object] = []

    def free() -> None:
        holding.wait(10)
        freed.append(storage_free(Kind.ARTIFACTS, actor="ada"))
        connection.close()

    thread = threading.Thread(target=free)
    thread.start()
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=batch.pk)
        holding.set()
        # Longer than PostgreSQL needs to see a deadlock.
        done.wait(1.5)
        Run.objects.create(submission=submission, edition=edition, seed=0)
    thread.join()
    assert len(freed) == 1
    assert Run.objects.count() == 1


def test_the_queue_is_not_held_still_until_leases_run_out(settings: LazySettings) -> None:
    built = [artifact("train", str(n), files=[kept(f"set {n}")]) for n in range(5)]
    settings.LEASE_S = -1.0
    assert storage_free(Kind.ARTIFACTS, actor="ada").n_objects == 0
    assert not Artifact.objects.exists()
    assert all(store().exists(each.files[0]) for each in built), "they are orphans from here on"
