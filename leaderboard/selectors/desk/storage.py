"""What lies in the store, who needs it, and what can be freed.

Everything is told from the rows that name an object. An object may be named by several rows, of
several kinds (equal content has one key); it is gone when the last of them is.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Length
from django.utils import timezone

from leaderboard.models import (
    Artifact,
    ArtifactKind,
    Batch,
    Board,
    Checkpoint,
    Edition,
    Run,
    Step,
    Submission,
    Unit,
    Upload,
    Window,
)
from leaderboard.services.uploads import spent_uploads
from leaderboard.store import store
from protocols.contract import Phase
from protocols.plan import EMPTY_STATE
from protocols.states import LIVE_RUN, LIVE_STEP, BatchState, RunState, SubmissionState

# What nothing refers to may be half of something that is being made; after a day it is not.
ORPHAN_AGE = timedelta(days=1)
# How full the file system may be before somebody should look.
FULL_SHARE = 0.9
# How old a measurement may be that the desk's front and /metrics show.
MEASURED_AGE = timedelta(minutes=5)


class Kind(StrEnum):
    ARCHIVES = "archives"
    SHARDS = "shards"
    LISTS = "lists"
    ARTIFACTS = "artifacts"
    CHECKPOINTS = "checkpoints"
    ORPHANS = "orphans"
    UPLOADS = "uploads"
    BOARDS = "boards"


# What says what a score means, or may be cited, is kept for good.
KEPT = (Kind.LISTS, Kind.BOARDS)


@dataclass(frozen=True)
class Stock:
    """The objects of one kind, and those among them that nobody needs.

    ``n_missing``: objects that rows name and the store does not have.
    """

    kind: Kind
    n_objects: int = 0
    size_bytes: int = 0
    n_free: int = 0
    free_bytes: int = 0
    n_missing: int = 0


@dataclass(frozen=True)
class Inventory:
    """All stocks at one moment, and the room on the file system that holds them."""

    at: datetime
    stocks: tuple[Stock, ...]
    disk_bytes: int
    disk_free_bytes: int

    @property
    def size_bytes(self) -> int:
        return sum(stock.size_bytes for stock in self.stocks)

    @property
    def free_bytes(self) -> int:
        return sum(stock.free_bytes for stock in self.stocks)

    @property
    def used_share(self) -> float:
        return 1 - self.disk_free_bytes / self.disk_bytes if self.disk_bytes else 0.0

    @property
    def is_full(self) -> bool:
        return self.used_share >= FULL_SHARE

    @property
    def n_missing(self) -> int:
        return sum(stock.n_missing for stock in self.stocks)


# Which rows are needed.


def unneeded_archives() -> QuerySet[Submission]:
    """Submissions that are over, whose archive no step will load again."""
    live = Step.objects.filter(run__submission=OuterRef("pk"), state__in=LIVE_STEP)
    over = (SubmissionState.REJECTED, SubmissionState.WITHDRAWN)
    return Submission.objects.exclude(archive="").filter(~Exists(live), state__in=over)


def unneeded_batches() -> QuerySet[Batch]:
    """Batches that were turned down after their images had been stored."""
    stored = ~Q(train_shard="") | ~Q(eval_shard="") | ~Q(contact_sheet="")
    return Batch.objects.filter(stored, state=BatchState.REJECTED)


def unneeded_artifacts() -> list[Artifact]:
    """What was built, and no step or check that is under way, or about to be, reads.

    Whoever needs it later builds it again.
    """
    live = Step.objects.filter(state__in=LIVE_STEP)
    needed: set[str] = set()
    trained = (
        live.filter(phase=Phase.TRAIN, run__edition=OuterRef("edition"))
        .order_by()
        .values("run__edition")
        .annotate(last=Max("window"))
        .values("last")
    )
    windows = Window.objects.annotate(last=Subquery(trained)).filter(index__lte=F("last"))
    needed.update(windows.values_list("manifest", flat=True))
    predicted = live.filter(phase=Phase.PREDICT)
    units = Unit.objects.filter(benchmark__in=predicted.values("run__edition__benchmark"))
    needed.update(units.values_list("manifest", flat=True))
    predicted_on = predicted.values("run__edition__benchmark__corpus")
    needed.update(Batch.objects.filter(corpus__in=predicted_on).values_list("eval_shard", flat=True))
    # The next batch will be compared with the thumbnails of all images, which take long to make anew.
    kept = Batch.objects.exclude(state=BatchState.REJECTED).values_list("train_shard", "eval_shard")
    compared = set(chain.from_iterable(kept))
    return [
        artifact
        for artifact in Artifact.objects.all()
        if (compared if artifact.kind == ArtifactKind.THUMBNAILS else needed).isdisjoint(artifact.sources)
    ]


def needed_states() -> set[str]:
    """The hashes of states that a step of today or of the next arrival may start from or be scored at.

    That is every state of a run that is not ended or has a step left, of each detector's newest
    finished run, and of all runs on the newest settled edition and on what came after it. What was
    deleted starts no more.
    """
    newest = (
        Edition.objects.filter(benchmark=OuterRef("edition__benchmark"), settled_at__isnull=False)
        .order_by("-number")
        .values("number")[:1]
    )
    finished = (
        Run.objects.filter(submission=OuterRef("submission"), seed=OuterRef("seed"), state=RunState.SUCCEEDED)
        .order_by("-edition__number")
        .values("edition__number")[:1]
    )
    kept = Run.objects.exclude(submission__state=SubmissionState.WITHDRAWN, submission__archive="")
    runs = kept.annotate(settled=newest, finished=finished).filter(
        Q(settled__isnull=True)
        | Q(edition__number__gte=F("settled"))
        | Q(finished__isnull=True)
        | Q(edition__number__gte=F("finished"))
        | Q(state__in=LIVE_RUN)
        | Exists(Step.objects.filter(run=OuterRef("pk"), state__in=LIVE_STEP))
    )
    steps = Step.objects.filter(run__in=runs.values("pk"))
    return set(steps.exclude(state_hash="").values_list("state_hash", flat=True)) | {EMPTY_STATE}


def unneeded_checkpoints() -> QuerySet[Checkpoint]:
    """Checkpoints that only superseded runs made, and that no live step is about to take as its result."""
    keys = Step.objects.filter(state__in=LIVE_STEP).exclude(key="").values("key")
    return Checkpoint.objects.exclude(state_hash__in=needed_states()).exclude(key__in=keys)


# Which objects rows name.


def state_files(state_hash: str) -> list[str]:
    """The objects of a state beside its list; none where the list is gone."""
    with suppress(FileNotFoundError):
        return [entry["sha256"] for entry in store().read_json(state_hash)]
    return []


def checkpoint_objects(states: Iterable[str]) -> Iterator[str]:
    for state_hash in set(states) - {EMPTY_STATE}:
        yield state_hash
        yield from state_files(state_hash)


@dataclass(frozen=True)
class Named:
    """The store keys that rows of one kind name: rows that somebody needs, and rows that nobody does."""

    needed: frozenset[str]
    unneeded: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.needed | self.unneeded


def references() -> dict[Kind, Named]:
    """What the database names in the store. A dozen queries, and a small file for each state."""
    return {
        Kind.ARCHIVES: _archives(),
        Kind.SHARDS: _shards(),
        Kind.LISTS: _named(
            [
                *Window.objects.values_list("manifest", flat=True),
                *Unit.objects.values_list("manifest", flat=True),
            ],
            [],
        ),
        Kind.ARTIFACTS: _artifacts(),
        Kind.CHECKPOINTS: _checkpoints(),
    }


def freeable(kind: Kind, named: dict[Kind, Named]) -> frozenset[str]:
    """The objects that no row names any more once the unneeded rows of ``kind`` are gone."""
    others = [named[other].all for other in named if other != kind]
    return named[kind].unneeded.difference(named[kind].needed, *others)


def _named(needed: Iterable[str], unneeded: Iterable[str]) -> Named:
    return Named(frozenset(needed) - {""}, frozenset(unneeded) - {""})


def _archives() -> Named:
    unneeded = unneeded_archives()
    needed = Submission.objects.exclude(pk__in=unneeded.values("pk"))
    return _named(needed.values_list("archive", flat=True), unneeded.values_list("archive", flat=True))


def _shards() -> Named:
    unneeded = unneeded_batches()
    needed = Batch.objects.exclude(pk__in=unneeded.values("pk"))
    fields = ("train_shard", "eval_shard", "contact_sheet")
    return _named(chain(*needed.values_list(*fields)), chain(*unneeded.values_list(*fields)))


def _artifacts() -> Named:
    unneeded = unneeded_artifacts()
    needed = Artifact.objects.exclude(pk__in=[artifact.pk for artifact in unneeded])
    return _named(
        chain.from_iterable(needed.values_list("files", flat=True)),
        chain.from_iterable(artifact.files for artifact in unneeded),
    )


def _checkpoints() -> Named:
    unneeded = unneeded_checkpoints()
    needed = Checkpoint.objects.exclude(pk__in=unneeded.values("pk"))
    return _named(
        checkpoint_objects((*needed.values_list("state_hash", flat=True), *needed_states())),
        checkpoint_objects(unneeded.values_list("state_hash", flat=True)),
    )


# What lies there.


def stored_objects() -> dict[str, os.stat_result]:
    """Every object of the store with its facts."""
    found = {}
    for first in _folders(store().root):
        for second in _folders(first):
            for entry in _entries(second):
                with suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
    return found


def scratch_files() -> dict[Path, os.stat_result]:
    """What is being written, or was when somebody died."""
    found = {}
    for folder, _, names in os.walk(store().scratch_folder):
        for name in names:
            path = Path(folder) / name
            with suppress(FileNotFoundError):
                found[path] = path.lstat()
    return found


def _folders(root: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(root) if len(entry.name) == 2 and entry.is_dir()]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return list(entries)
    return []


def is_orphaned(facts: os.stat_result, now: datetime) -> bool:
    """Whether a file that no row names has been left alone for long enough.

    The change time also moves when an object is stored again, wanted again or linked.
    """
    return facts.st_ctime < (now - ORPHAN_AGE).timestamp()


def take_inventory() -> Inventory:
    """Look at every object of the store: exact, and slow where there are millions."""
    now = timezone.now()
    objects = stored_objects()
    named = references()
    stocks = []
    counted: set[str] = set()
    for kind, keys in named.items():
        # An object of two kinds is counted once.
        own = keys.all - counted
        counted |= own
        there, free = own & objects.keys(), freeable(kind, named) & objects.keys()
        stocks.append(
            Stock(
                kind,
                len(there),
                _bytes(objects, there),
                len(free),
                _bytes(objects, free),
                len(keys.needed & own) - len(keys.needed & there),
            )
        )
    strays = objects.keys() - counted
    old = {key for key in strays if is_orphaned(objects[key], now)}
    scratch = scratch_files()
    left = [facts for facts in scratch.values() if is_orphaned(facts, now)]
    stocks.append(
        Stock(
            Kind.ORPHANS,
            len(strays) + len(scratch),
            _bytes(objects, strays) + sum(facts.st_size for facts in scratch.values()),
            len(old) + len(left),
            _bytes(objects, old) + sum(facts.st_size for facts in left),
        )
    )
    stocks += [_uploads(), _boards()]
    room = disk_room()
    return Inventory(now, tuple(stocks), room.total, room.free)


class DiskRoom(NamedTuple):
    total: int
    free: int


def disk_room() -> DiskRoom:
    """Size of the store's file system, and what is left on it."""
    usage = shutil.disk_usage(store().scratch_folder)
    return DiskRoom(usage.total, usage.free)


@dataclass(frozen=True)
class ArtifactStock:
    """What was built of one kind of set, as its rows say."""

    kind: str
    n_sets: int
    size_bytes: int


def artifact_stocks() -> list[ArtifactStock]:
    """Largest first. One query."""
    sums = Artifact.objects.order_by().values_list("kind").annotate(Count("pk"), Sum("size_bytes"))
    return sorted((ArtifactStock(*row) for row in sums), key=lambda stock: -stock.size_bytes)


def inventory(max_age: timedelta = MEASURED_AGE) -> Inventory:
    """The last inventory that any process took, or a new one when that is older than ``max_age``."""
    file = settings.HOME / "inventory.json"
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        known = _from_json(file.read_text())
        if timezone.now() - known.at < max_age:
            return known
    taken = take_inventory()
    draft = store().scratch(".json")
    draft.write_text(json.dumps(asdict(taken), default=str))
    draft.replace(file)
    return taken


def _from_json(text: str) -> Inventory:
    values = json.loads(text)
    stocks = tuple(Stock(**{**stock, "kind": Kind(stock["kind"])}) for stock in values.pop("stocks"))
    return Inventory(**{**values, "at": datetime.fromisoformat(values["at"]), "stocks": stocks})


def _bytes(objects: Mapping[str, os.stat_result], keys: Collection[str]) -> int:
    return sum(objects[key].st_size for key in keys)


def _boards() -> Stock:
    """Boards lie in the database."""
    kept = Board.objects.aggregate(n=Count("pk"), size=Sum(Length("table")))
    return Stock(Kind.BOARDS, kept["n"], kept["size"] or 0)


def _uploads() -> Stock:
    spent = spent_uploads().values_list("pk", flat=True)
    sizes = {upload.pk: upload.offset for upload in Upload.objects.all()}
    free = [sizes.get(pk, 0) for pk in spent]
    return Stock(Kind.UPLOADS, len(sizes), sum(sizes.values()), len(free), sum(free))
