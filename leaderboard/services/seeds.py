"""Running an entry again with a further seed, so that a board can show how much its scores vary."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from leaderboard.models import Event, Run, Submission, Team
from leaderboard.selectors.seeds import seed_refusal, seeds_of
from leaderboard.selectors.timelines import newest_edition
from leaderboard.services.editions import benchmark_lock
from leaderboard.services.quotas import require_run
from leaderboard.services.runs import run_create
from protocols.errors import RequestError


def submission_add_seed(submission: Submission, seed: int, *, actor: object) -> Run:
    """Run an accepted entry on the newest edition with ``seed`` too, beside the seeds that it has.

    A detector without training may have several seeds as well, for its predictions may be drawn.
    Editions that open later run all seeds (``selectors.seeds.planned_runs``).

    Raises ``RequestError``: illegal_transition (the entry can't run), conflict (it has a run with this
    seed), seed_limit or quota_runs.
    """
    with transaction.atomic():
        # Runs of a team are counted one after another, or two at once would both find room.
        team = Team.objects.select_for_update().get(pk=submission.team_id)
        # An entry is not taken back in the meantime.
        submission = Submission.objects.select_for_update(of=("self",), no_key=True).get(pk=submission.pk)
        # An edition that opens in the meantime would not know of the seed.
        edition = newest_edition(benchmark_lock(submission.benchmark))
        runs = list(submission.runs.all())
        if refusal := seed_refusal(submission, edition, runs):
            raise refusal
        assert edition is not None
        if any(run.seed == seed and run.edition_id == edition.pk for run in runs):
            raise RequestError(
                "conflict", f"{submission.name} has a run with seed {seed} on edition {edition.number}."
            )
        seeds = seeds_of(submission, runs)
        if seed not in seeds and len(seeds) >= settings.MAX_SEEDS:
            raise RequestError(
                "seed_limit", f"{submission.name} has {len(seeds)} seeds; {settings.MAX_SEEDS} are allowed."
            )
        require_run(team)
        run = run_create(submission, edition, seed=seed)
        Event.objects.create(
            run=run, old="", new=run.state, actor=str(actor)[:200], reason="Run with another seed."
        )
    return run
