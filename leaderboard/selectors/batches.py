"""Batches as maintainers see them: the list, and what a check found, in a form that pages can show.

The report and the audit come from workers and describe what strangers packed: whatever is
missing or of a form that is not expected is left out, and no page fails for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db.models import QuerySet

from leaderboard.models import Action, Batch, Event, Generator, Window
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.timelines import NEWEST_EDITION
from protocols.errors import CATALOGUE, ErrorEntry
from protocols.states import BatchState

# A page names this many files of each kind; the API has up to a thousand.
MOST_LISTED = 50

PLACES = {
    "batch": "Within the batch",
    "published": "With published images",
    "corpus": "With other images of the corpus",
}
DISTRIBUTIONS = {
    "format": "Container format",
    "jpeg_quality": "JPEG quality",
    "width": "Width, pixels",
    "height": "Height, pixels",
    "bytes": "File size, kB",
}
VIEWS = {"originals": "The files as they came in", "participants": "What participants get"}
# Containers never see a file, so what only the files tell bars nothing.
DECIDES = "participants"
BYTES_PER_KB = 1000


@dataclass(frozen=True)
class Rejected:
    """The files that were turned down for one reason; ``files`` has names and details of the first."""

    entry: ErrorEntry | None
    code: str
    n: int
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NearPair:
    """An image and one that it looks like. ``across``: one is for training, the other for evaluation."""

    name: str
    split: str
    other: str
    other_split: str
    other_origin: str
    similarity: float | None
    across: bool


@dataclass(frozen=True)
class NearGroup:
    """Images that have near duplicates in one place: how many, and the first of them.

    ``n_across`` counts those of the report's list that lie between training and evaluation.
    """

    title: str
    n: int
    n_across: int
    pairs: tuple[NearPair, ...]


@dataclass(frozen=True)
class Intake:
    """What became of the files of a batch."""

    n_files: int
    n_train: int
    n_eval: int
    n_rejected: int
    rejected: tuple[Rejected, ...]
    n_near: int
    n_across: int
    near: tuple[NearGroup, ...]

    @property
    def n_taken(self) -> int:
        return self.n_train + self.n_eval


@dataclass(frozen=True)
class AuditView:
    """How well metadata alone tells fakes from reals; ``features`` by importance, the largest first.

    ``decides``: publishing goes by this view. ``exceeds``: its whole interval lies above the bound.
    ``reason`` says why it is undefined, where it is.
    """

    title: str
    decides: bool
    estimate: Estimate | None
    n_fakes: int
    n_reals: int
    features: tuple[tuple[str, float], ...]
    exceeds: bool
    reason: str


@dataclass(frozen=True)
class Audit:
    """``reason`` says why the audit is undefined, where it is."""

    bound: float
    exceeds: bool
    reason: str
    views: tuple[AuditView, ...]

    @property
    def is_defined(self) -> bool:
        """Whether the view by which publishing goes has a value."""
        return any(view.decides and view.estimate is not None for view in self.views)


@dataclass(frozen=True)
class Bin:
    label: str
    n_fakes: int
    n_reals: int


@dataclass(frozen=True)
class Distribution:
    """How one property is spread over the fakes of a batch and over the reals it is compared with."""

    name: str
    title: str
    bins: tuple[Bin, ...]

    @property
    def n_fakes(self) -> int:
        return sum(b.n_fakes for b in self.bins)

    @property
    def n_reals(self) -> int:
        return sum(b.n_reals for b in self.bins)


@dataclass(frozen=True)
class BatchReport:
    batch: Batch
    intake: Intake | None
    audit: Audit | None
    distributions: tuple[Distribution, ...]
    events: tuple[Event, ...]

    # What a submission's report says of its reader: errors are shown in full.
    is_trusted = True

    @property
    def is_checking(self) -> bool:
        return self.batch.state == BatchState.CHECKING


@dataclass(frozen=True)
class GeneratorReport:
    """``windows``: those of the newest editions that it is in; ``actions``: newest first."""

    batches: tuple[Batch, ...]
    windows: tuple[Window, ...]
    actions: tuple[Action, ...]


def batch_list(*, corpus: str = "", state: str = "") -> QuerySet[Batch]:
    """All batches, newest first; of one corpus or in one state where these are given."""
    found = Batch.objects.select_related("corpus", "generator", "created_by").order_by("-created_at", "pk")
    # Lists show neither, and both can be large.
    found = found.defer("report", "audit")
    if corpus:
        found = found.filter(corpus__slug=corpus)
    return found.filter(state=state) if state else found


def batch_report(batch_id: uuid.UUID) -> BatchReport | None:
    """Everything about a batch, for maintainers. Two queries."""
    batch = (
        Batch.objects.select_related("corpus", "generator__corpus", "created_by", "upload")
        .filter(pk=batch_id)
        .first()
    )
    if batch is None:
        return None
    events = Event.objects.filter(batch=batch).order_by("id")
    audit = batch.audit if isinstance(batch.audit, dict) else {}
    return BatchReport(
        batch, intake_of(batch.report), audit_of(audit), distributions_of(audit), tuple(events)
    )


def generator_report(generator: Generator) -> GeneratorReport:
    """A generator's batches and the log of what maintainers did to it. Three queries."""
    newest = generator.corpus.benchmarks.annotate(newest=NEWEST_EDITION).values("newest")
    windows = Window.objects.filter(generators=generator, edition__in=newest)
    return GeneratorReport(
        batches=tuple(batch_list().filter(generator=generator)),
        windows=tuple(windows.select_related("edition__benchmark").order_by("edition__benchmark__slug")),
        actions=tuple(Action.objects.filter(subject=f"{generator.corpus.slug}/{generator.slug}")),
    )


def intake_of(report: Mapping[str, Any]) -> Intake | None:
    """The report of a check (``evaluator.data.ingest.Report``); None before there is one."""
    if not isinstance(report, dict) or "n_files" not in report:
        return None
    counts = {str(code): _whole(n) for code, n in _mapping(report.get("n_rejected")).items()}
    files = _dicts(report.get("rejected"))
    n_near = _mapping(report.get("n_near"))
    near = [_pair(row) for row in _dicts(report.get("near_duplicates"))]
    return Intake(
        n_files=_whole(report.get("n_files")),
        n_train=_whole(report.get("n_train")),
        n_eval=_whole(report.get("n_eval")),
        n_rejected=sum(counts.values()),
        rejected=tuple(
            Rejected(
                CATALOGUE.get(code),
                code,
                n,
                tuple(
                    (str(row.get("name", "")), str(row.get("detail", "")))
                    for row in files
                    if row.get("code") == code
                )[:MOST_LISTED],
            )
            for code, n in sorted(counts.items(), key=lambda item: -item[1])
        ),
        n_near=_whole(report.get("n_near_duplicates")),
        n_across=_whole(n_near.get("across")),
        near=tuple(
            NearGroup(
                title,
                n=_whole(n_near.get(place)) or len(found),
                n_across=sum(pair.across for pair in found),
                # What crosses the border between training and evaluation is what matters most.
                pairs=tuple(
                    sorted(found, key=lambda pair: (not pair.across, -(pair.similarity or 0)))[:MOST_LISTED]
                ),
            )
            for place, title in PLACES.items()
            if (found := [pair for at, pair in near if at == place])
        ),
    )


def _pair(row: dict[str, Any]) -> tuple[str, NearPair]:
    split, other_split = str(row.get("split", "")), str(row.get("other_split", ""))
    place = row.get("place")
    return (
        place if isinstance(place, str) and place in PLACES else "corpus",
        NearPair(
            name=str(row.get("name", "")),
            split=split,
            other=str(row.get("other_name") or str(row.get("other", ""))[:12]),
            other_split=other_split,
            other_origin=str(row.get("other_origin", "")),
            similarity=_number(row.get("similarity")),
            across=split != other_split,
        ),
    )


def audit_of(audit: Mapping[str, Any]) -> Audit | None:
    """The shortcut audit as it is stored with a batch; None where there is none."""
    if not audit:
        return None
    bound = _fraction(audit.get("bound")) or 0.0
    views, reasons = _mapping(audit.get("views")), _mapping(audit.get("reasons"))
    return Audit(
        bound=bound,
        exceeds=bool(audit.get("exceeds")),
        reason=str(audit.get("reason") or ""),
        views=tuple(
            _view(title, name == DECIDES, _mapping(views.get(name)), str(reasons.get(name, "")), bound)
            for name, title in VIEWS.items()
        ),
    )


def _view(title: str, decides: bool, view: Mapping[str, Any], reason: str, bound: float) -> AuditView:
    value, low = _fraction(view.get("auroc")), _fraction(view.get("low"))
    features = [
        (str(name), weight)
        for name, raw in _mapping(view.get("features")).items()
        if (weight := _number(raw)) is not None
    ]
    return AuditView(
        title=title,
        decides=decides,
        estimate=None if value is None else Estimate(value, low, _fraction(view.get("high"))),
        n_fakes=_whole(view.get("n_fakes")),
        n_reals=_whole(view.get("n_reals")),
        features=tuple(sorted(features, key=lambda item: -item[1])),
        exceeds=low is not None and low > bound,
        reason=reason,
    )


def distributions_of(audit: Mapping[str, Any]) -> tuple[Distribution, ...]:
    """The distributions that the audit stored, those without a value left out."""
    stored = _mapping(audit.get("distributions"))
    found = []
    for name, title in DISTRIBUTIONS.items():
        counts = _mapping(stored.get(name))
        bins = _histogram(name, counts) if "edges" in counts else _categories(name, counts)
        if bins:
            found.append(Distribution(name, title, bins))
    return tuple(found)


def _categories(name: str, counts: Mapping[str, Any]) -> tuple[Bin, ...]:
    """Numbers in their order, then words by how often they occur."""
    fakes, reals = _mapping(counts.get("fakes")), _mapping(counts.get("reals"))
    bins = [
        Bin(_label(name, key), _whole(fakes.get(key)), _whole(reals.get(key)))
        for key in dict.fromkeys([*fakes, *reals])
    ]
    return tuple(sorted(bins, key=_order))


def _label(name: str, key: str) -> str:
    if key in ("", "null"):
        return "no JPEG" if name == "jpeg_quality" else "not known"
    return key


def _order(b: Bin) -> tuple[bool, float, str]:
    try:
        return False, float(b.label), ""
    except ValueError:
        return True, -float(b.n_fakes + b.n_reals), b.label


def _histogram(name: str, counts: Mapping[str, Any]) -> tuple[Bin, ...]:
    scale = BYTES_PER_KB if name == "bytes" else 1
    edges = [_number(edge) for edge in _list(counts.get("edges"))]
    known = [edge / scale for edge in edges if edge is not None]
    fakes, reals = ([_whole(n) for n in _list(counts.get(kind))] for kind in ("fakes", "reals"))
    if len(known) != len(edges) or not len(fakes) == len(reals) == len(edges) - 1:
        return ()
    labels = [f"{_short(low)}–{_short(high)}" for low, high in pairwise(known)]
    return tuple(Bin(*row) for row in zip(labels, fakes, reals, strict=True))


def _short(edge: float) -> str:
    return f"{edge:.0f}" if edge >= 10 else f"{edge:.2g}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    rows: Iterable[object] = _list(value)
    return [row for row in rows if isinstance(row, dict)]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _fraction(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
