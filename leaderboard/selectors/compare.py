"""Detectors side by side: what each is better at than the first, generator by generator, tested in pairs."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from leaderboard.board import Timeline, TimelineGenerator
from leaderboard.models import Benchmark, FirstContact, RunInfluence, Step, Submission, UnitScore
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import LEVEL, Estimate, auroc
from leaderboard.selectors.predictions import unit_scores
from leaderboard.selectors.present import present_rows
from leaderboard.selectors.snapshots import shown_board
from leaderboard.selectors.standings import timelines_of
from leaderboard.selectors.timelines import shown_edition
from protocols.contract import Phase
from protocols.delong import Auroc, paired_test
from protocols.influence import over_seeds, unpack
from protocols.multiplicity import holm
from protocols.periods import Period
from protocols.states import StepState

FEWEST, MOST = 2, 6
# So many detectors are offered to be compared.
OFFERED = 20


@dataclass(frozen=True)
class Difference(Estimate):
    """How much more a detector has than the first one, with a paired 95 % interval over images.

    ``p_value``: two-sided, by itself. ``differs``: the test tells the two apart although it is one of
    many (Holm). Without a test (a class of one image) both ends and p are ``None``.
    """

    p_value: float | None = None
    differs: bool = False

    @property
    def outcome(self) -> str:
        """``win``, ``loss`` or, where the two can't be told apart, ``tie``."""
        return ("win" if (self.value or 0) > 0 else "loss") if self.differs else "tie"


@dataclass(frozen=True)
class Cell:
    """``difference`` is ``None`` for the first detector, and where one of the two is missing."""

    estimate: Estimate
    difference: Difference | None = None


@dataclass(frozen=True)
class Tally:
    """On how many generators a detector is better than the first, can't be told apart, and is worse."""

    wins: int = 0
    ties: int = 0
    losses: int = 0

    @property
    def n(self) -> int:
        return self.wins + self.ties + self.losses


@dataclass(frozen=True)
class Compared:
    """A detector. ``entry`` is ``None`` before it has a result; ``headline``: the difference of averages."""

    submission: Submission
    entry: Entry | None
    headline: Difference | None = None
    contact: Tally = Tally()
    newest: Tally = Tally()


@dataclass(frozen=True)
class GeneratorRow:
    """A cell for each detector: at first contact, and of the newest checkpoint."""

    generator: TimelineGenerator
    contact: tuple[Cell, ...]
    newest: tuple[Cell, ...]


@dataclass(frozen=True)
class Comparison:
    """``detectors`` in the order asked for; the first is what the others are compared with."""

    benchmark: Benchmark
    timeline: Timeline | None
    detectors: tuple[Compared, ...]
    rows: tuple[GeneratorRow, ...] = ()


@dataclass(frozen=True)
class Offer:
    """A detector that could be compared too. ``rank`` is ``None`` where it has none."""

    submission_id: uuid.UUID
    name: str
    team: str
    rank: int | None


@dataclass(frozen=True)
class _Scored:
    """A score with what it was computed from: the prediction of a state on a unit."""

    estimate: Estimate
    source: tuple[str, int] | None


# A score of each detector, by its position and the generator.
_Scores = dict[tuple[int, int], _Scored]


def comparison(benchmark: Benchmark, ids: Sequence[uuid.UUID], user: object) -> Comparison | None:
    """The detectors with these ids, in this order, on the edition that is shown.

    ``None`` when one of them is not on the benchmark, or ``user`` may not see it. A constant number of
    queries.
    """
    visible = Submission.objects.visible_to(user).entered().filter(benchmark=benchmark)
    found = {s.pk: s for s in visible.filter(pk__in=list(ids)).select_related("team")}
    if len(found) != len(set(ids)):
        return None
    submissions = [found[pk] for pk in ids]
    edition = shown_edition(benchmark)
    if edition is None or not submissions:
        return Comparison(benchmark, None, tuple(Compared(s, None) for s in submissions))
    timelines = timelines_of(edition)
    rows = present_rows(
        Submission.objects.filter(pk__in=list(ids)), edition, timelines, shown_board(benchmark)
    )
    entries = [entry_of(rows[s.pk]) if s.pk in rows else None for s in submissions]
    generators = _generators(timelines.contacts, timelines.shown)
    contacts = _contacts(submissions, entries, generators)
    newest = _newest(entries, timelines.shown)
    auroc_of = _aurocs([*contacts.values(), *newest.values()])
    at_contact = _compared(contacts, generators, len(submissions), auroc_of)
    now = _compared(newest, generators, len(submissions), auroc_of)
    headlines = _headlines([rows.get(s.pk) for s in submissions])
    return Comparison(
        benchmark,
        timelines.contacts,
        detectors=tuple(
            Compared(submission, entry, headline, _tally(at_contact, i), _tally(now, i))
            for i, (submission, entry, headline) in enumerate(
                zip(submissions, entries, headlines, strict=True)
            )
        ),
        rows=tuple(map(GeneratorRow, generators, at_contact, now)),
    )


def _generators(*lines: Timeline) -> list[TimelineGenerator]:
    """All generators of some timelines, in the order of the first that has them."""
    return list({g.generator_id: g for line in reversed(lines) for g in line.generators}.values())


def _contacts(
    submissions: Sequence[Submission],
    entries: Sequence[Entry | None],
    generators: Sequence[TimelineGenerator],
) -> _Scores:
    """First contacts, each of the seed that stands on the board."""
    place = {
        (s.pk, entry.seed if entry else s.seed): i
        for i, (s, entry) in enumerate(zip(submissions, entries, strict=True))
    }
    rows = FirstContact.objects.filter(
        submission__in=submissions, generator__in=[g.generator_id for g in generators]
    )
    return {
        (place[row.submission_id, row.seed], row.generator_id): _Scored(
            auroc(row), (row.state_key, row.unit_id)
        )
        for row in rows
        if (row.submission_id, row.seed) in place
    }


def _newest(entries: Sequence[Entry | None], line: Timeline) -> _Scores:
    """The scores of every run's last checkpoint."""
    last = line.n_closed - 1
    place = {entry.run_id: i for i, entry in enumerate(entries) if entry}
    keys = dict(
        Step.objects.filter(
            run__in=list(place), phase=Phase.PREDICT, unit=None, window=last, state=StepState.SUCCEEDED
        ).values_list("run_id", "key")
    )
    generator_of = {g.unit_id: g.generator_id for g in line.generators}
    rows = UnitScore.objects.filter(run__in=list(place), window=last, unit__in=list(generator_of))
    return {
        (place[row.run_id], generator_of[row.unit_id]): _Scored(
            auroc(row), (keys[row.run_id], row.unit_id) if row.run_id in keys else None
        )
        for row in rows
    }


def _aurocs(scored: Iterable[_Scored]) -> Callable[[_Scored], Auroc | None]:
    """What gives the AUROC of a score with what it owes to every image, from the stored predictions."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for score in scored:
        if score.source:
            wanted[score.source[0]].add(score.source[1])
    predictions = unit_scores(wanted)
    # A detector without a state has one prediction for all its checkpoints.
    known: dict[tuple[str, int], Auroc | None] = {}

    def of(score: _Scored) -> Auroc | None:
        if score.source is None or score.source not in predictions:
            return None
        if score.source not in known:
            known[score.source] = predictions[score.source].auroc()
        return known[score.source]

    return of


def _compared(
    scores: _Scores,
    generators: Sequence[TimelineGenerator],
    n_detectors: int,
    auroc_of: Callable[[_Scored], Auroc | None],
) -> list[tuple[Cell, ...]]:
    """The cells of each generator, with every difference from the first detector tested among all."""
    nothing = _Scored(Estimate(), None)
    cells: list[list[Cell]] = []
    for generator in generators:
        row = [scores.get((i, generator.generator_id), nothing) for i in range(n_detectors)]
        differences = [None, *(_difference(row[0], other, auroc_of) for other in row[1:])]
        cells.append([Cell(score.estimate, d) for score, d in zip(row, differences, strict=True)])
    told_apart = iter(_told_apart([cell.difference for row in cells for cell in row]))
    return [tuple(replace(cell, difference=next(told_apart)) for cell in row) for row in cells]


def _difference(
    first: _Scored, other: _Scored, auroc_of: Callable[[_Scored], Auroc | None]
) -> Difference | None:
    # A generator that was published again has a unit of another version, which is another set of images.
    if first.source is None or other.source is None or first.source[1] != other.source[1]:
        return None
    mine, yours = auroc_of(other), auroc_of(first)
    return None if mine is None or yours is None else _paired(mine, yours)


def _paired(mine: Auroc, yours: Auroc) -> Difference:
    test = paired_test(mine, yours)
    if test is None:
        return Difference(mine.value - yours.value)
    if not test.standard_error:
        # Two that have no spread at all leave none to draw.
        return Difference(test.difference, p_value=test.p_value)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * test.standard_error
    low, high = np.clip([test.difference - half, test.difference + half], -1, 1).tolist()
    return Difference(test.difference, low, high, test.p_value)


def _told_apart(differences: Sequence[Difference | None]) -> list[Difference | None]:
    """These differences, with which of them count when all are looked at together."""
    tested = [i for i, d in enumerate(differences) if d is not None and d.p_value is not None]
    rejected = dict(
        zip(tested, holm([d.p_value for d in differences if d and d.p_value is not None]), strict=True)
    )
    return [d and replace(d, differs=rejected.get(i, False)) for i, d in enumerate(differences)]


def _tally(rows: Iterable[tuple[Cell, ...]], detector: int) -> Tally:
    found = [row[detector].difference for row in rows]
    outcomes = [d.outcome for d in found if d is not None and d.p_value is not None]
    return Tally(outcomes.count("win"), outcomes.count("tie"), outcomes.count("loss"))


def _headlines(rows: Sequence[dict[str, Any] | None]) -> list[Difference | None]:
    """The differences of the headlines, each a mean over its detector's seeds."""
    runs = [pk for row in rows if row for pk in row["runs"]]
    found = {
        pk: (units, unpack(value, bytes(values), n_pairs))
        for pk, value, units, values, n_pairs in RunInfluence.objects.filter(
            run__in=runs, run__scores__period=Period.NEXT
        ).values_list("run", "run__scores__value", "units", "values", "n_pairs")
        if value is not None
    }

    def mean(row: dict[str, Any] | None) -> tuple[list[int], Auroc] | None:
        own = [found[pk] for pk in row["runs"] if pk in found] if row else []
        if not row or not own or len(own) < len(row["runs"]) or any(units != own[0][0] for units, _ in own):
            return None
        return own[0][0], over_seeds([estimate for _, estimate in own]).mean

    first, *others = map(mean, rows)
    return [
        None,
        *_told_apart(
            [
                _paired(other[1], first[1]) if first and other and first[0] == other[0] else None
                for other in others
            ]
        ),
    ]


def offers(benchmark: Benchmark, user: object, words: str, *, without: Iterable[uuid.UUID]) -> list[Offer]:
    """Detectors whose name or team has ``words``: private ones of ``user`` first, then the board's best."""
    taken, asked = set(without), words.casefold()
    private = (
        Submission.objects.visible_to(user)
        .entered()
        .filter(benchmark=benchmark, visibility="private", name__icontains=words)
        .exclude(pk__in=taken)
        .select_related("team")[:OFFERED]
    )
    found = [Offer(s.pk, s.name, s.team.name, None) for s in private]
    shown = shown_board(benchmark)
    if shown is None:
        return found
    board = shown.snapshot
    positions = [
        place
        for place, (name, team) in enumerate(zip(board.texts("name"), board.texts("team"), strict=True))
        if asked in name.casefold() or asked in team.casefold()
    ][: OFFERED + len(taken)]
    rows = [(uuid.UUID(row["detector"]), row) for row in board.rows(positions)]
    found += [Offer(pk, row["name"], row["team"], row["rank"]) for pk, row in rows if pk not in taken]
    return found[:OFFERED]
