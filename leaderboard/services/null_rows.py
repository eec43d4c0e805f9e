"""Null rows: what the server itself puts on every benchmark, for others to be read against.

A null row is an entry of the server with no container. Its runs and steps never wait and never run:
they appear, ended, in the one transaction that writes their scores. So nothing waits for them, they
are nobody's work, and a worker that dies half-way leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from leaderboard.models import (
    Benchmark,
    Edition,
    EditionUnit,
    Generator,
    NullRow,
    Prediction,
    Run,
    Step,
    Submission,
    Team,
    Unit,
    UnitScore,
    User,
)
from leaderboard.services.names import SERVER_NAME
from leaderboard.services.scores import Scores, run_score, stored_scores, window_score
from protocols import plan
from protocols.contract import Phase
from protocols.states import RunState, StepState, SubmissionState

# Part of the keys: a null row that is computed in a new way gets new ones.
VERSION = 1
SEED = 0
# The name of the advisory lock that one null row at a time is computed under.
LOCK = 0x71DF
TEAM_NAME = "Tidemark"
DESCRIPTIONS = {
    NullRow.CONSTANT: "The score ½ for every image: what a detector is worth that has learnt nothing.",
    NullRow.METADATA: "A classifier that sees numbers about the files as they came in, and never a pixel: "
    "what shortcuts alone would tell.",
}


@dataclass(frozen=True)
class Missing:
    """What a null row lacks on an edition.

    ``keys``: by window, the key of the state to score. ``known``: by key, the stored scores by the
    unit's id. ``units``: all that the edition is scored on, those of withdrawn generators left out.
    """

    null_row: NullRow
    edition: Edition
    units: list[Unit]
    keys: dict[int, str]
    known: dict[str, dict[int, Scores]]

    def wanted(self) -> dict[int, list[Unit]]:
        """The units to predict at a window; of several with one key, the first has them."""
        first = {key: window for window, key in sorted(self.keys.items(), reverse=True)}
        wanted = {
            window: [unit for unit in self.units if unit.pk not in self.known[key]]
            for key, window in first.items()
        }
        return {window: units for window, units in sorted(wanted.items()) if units}


def _unmet(null_row: NullRow) -> QuerySet[EditionUnit]:
    """The units of open editions that a null row has no score on, the oldest edition first."""
    score = UnitScore.objects.filter(
        run__submission__null_row=null_row, run__edition=OuterRef("edition"), unit=OuterRef("unit")
    )
    return (
        EditionUnit.objects.filter(
            ~Exists(score), edition__opened_at__isnull=False, unit__generator__withdrawn_at=None
        )
        .select_related("edition__benchmark")
        .order_by("edition__opened_at", "edition", "unit")
    )


def null_rows_waiting() -> int:
    """How many null rows lack something somewhere. One worker at a time does them all."""
    return sum(_unmet(null_row).exists() for null_row in NullRow)


def null_row_claim() -> Missing | None:
    """What is to be computed next, or ``None`` when nothing is, or another worker is at it.

    The caller's transaction holds the lock until it ends.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        (is_ours,) = cursor.fetchone()
    if not is_ours:
        return None
    for null_row in NullRow:
        if first := _unmet(null_row).first():
            return _missing(null_row, first.edition)
    return None


def _missing(null_row: NullRow, edition: Edition) -> Missing:
    units = list(
        edition.units.filter(generator__withdrawn_at=None).select_related("generator").order_by("pk")
    )
    keys = _state_keys(null_row, edition)
    if Run.objects.filter(submission__null_row=null_row, edition=edition).exists():
        # Newcomers are met by the last checkpoint alone, as by every detector.
        keys = {window: key for window, key in keys.items() if window == max(keys)}
    known = {key: stored_scores(key, units) for key in set(keys.values())}
    return Missing(null_row, edition, units, keys, known)


def _state_keys(null_row: NullRow, edition: Edition) -> dict[int, str]:
    """The key of the state after each window: over all that its scores depend on.

    The constant has learnt nothing and so has one. The classifier is fitted anew at each window, to the
    lists that a detector would be trained on there.
    """
    benchmark = edition.benchmark
    image_id = f"null-row:{null_row.value}:{VERSION}"
    manifests = dict(edition.windows.values_list("index", "manifest"))
    version = benchmark.protocol_version

    def state(window: int) -> str:
        if null_row == NullRow.CONSTANT:
            return plan.EMPTY_STATE
        return plan.train_key(
            image_id=image_id,
            protocol_version=version,
            parent_state=plan.EMPTY_STATE,
            manifests=[manifests[w] for w in plan.mounted_windows(benchmark.training_mode, window)],
            window=window,
            seed=SEED,
        )

    return {
        window: plan.state_key(image_id=image_id, protocol_version=version, state=state(window), seed=SEED)
        for window in manifests
    }


def null_row_write(missing: Missing, predicted: Mapping[int, Mapping[Unit, Scores]]) -> None:
    """Keep the predictions, by window, and all scores that follow from them.

    Nothing is written, and the next claim begins again, if a generator was withdrawn or re-dated
    meanwhile. The caller is in the transaction of ``null_row_claim``.
    """
    edition, units = missing.edition, missing.units
    for window, scores in predicted.items():
        missing.known[missing.keys[window]] |= {unit.pk: values for unit, values in scores.items()}
    scored = {
        window: window_score(edition, window, {unit: missing.known[key][unit.pk] for unit in units})
        for window, key in missing.keys.items()
    }
    if not _are_as_they_were(units):
        return
    run = _run(missing.null_row, edition)
    steps = _steps(run, missing.keys)
    Prediction.objects.bulk_create(
        (
            Prediction(state_key=missing.keys[window], unit=unit, scores=values.tobytes(), step=steps[window])
            for window, scores in predicted.items()
            for unit, values in scores.items()
        ),
        ignore_conflicts=True,
    )
    for window, score in scored.items():
        score.save(run, missing.keys[window])
    run_score(run)


def _are_as_they_were(units: list[Unit]) -> bool:
    """Lock the generators of these units, so that a withdrawal comes before or after; whether none did.

    A withdrawal that comes after finds the run, and has it scored anew.
    """
    seen = {unit.generator_id: unit.generator for unit in units}
    now = Generator.objects.select_for_update(no_key=True).filter(pk__in=seen).order_by("pk")
    return all(
        (generator.withdrawn_at, generator.release_date)
        == (seen[generator.pk].withdrawn_at, seen[generator.pk].release_date)
        for generator in now
    )


def _run(null_row: NullRow, edition: Edition) -> Run:
    now = timezone.now()
    ended = {"state": RunState.SUCCEEDED, "started_at": now, "finished_at": now}
    run, _ = Run.objects.get_or_create(
        submission=_submission(null_row, edition.benchmark), edition=edition, seed=SEED, defaults=ended
    )
    return run


def _steps(run: Run, keys: Mapping[int, str]) -> dict[int, Step]:
    """The run's predictions by window, made where there are none yet."""
    now = timezone.now()
    steps: dict[int, Step] = {}
    for window, key in sorted(keys.items()):
        steps[window], _ = Step.objects.update_or_create(
            run=run,
            phase=Phase.PREDICT,
            window=window,
            unit=None,
            defaults={"key": key},
            create_defaults={
                "key": key,
                "state": StepState.SUCCEEDED,
                "reused": any(step.key == key for step in steps.values()),
                "progress": 1.0,
                "ready_at": now,
                "started_at": now,
                "finished_at": now,
            },
        )
    return steps


def _submission(null_row: NullRow, benchmark: Benchmark) -> Submission:
    """The entry of a null row. It is sealed when it is made: what comes later it meets prospectively."""
    found = Submission.objects.filter(null_row=null_row, benchmark=benchmark).first()
    if found is not None:
        return found
    now = timezone.now()
    owner, team = _server()
    return Submission.objects.create(
        owner=owner,
        team=team,
        benchmark=benchmark,
        name=null_row.value,
        description=DESCRIPTIONS[null_row],
        null_row=null_row,
        state=SubmissionState.ACCEPTED,
        progress=1.0,
        seed=SEED,
        sealed_at=now,
        accepted_at=now,
    )


@transaction.atomic
def _server() -> tuple[User, Team]:
    """The account that owns the null rows, which nobody signs in to, and its team, which has no member."""
    user = User.objects.filter(username=SERVER_NAME).first()
    if user is None:
        user = User(username=SERVER_NAME, is_active=False)
        user.set_unusable_password()
        user.save()
    team, _ = Team.objects.get_or_create(slug=SERVER_NAME, defaults={"name": TEAM_NAME})
    return user, team
