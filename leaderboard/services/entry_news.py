"""What a team is told of its own entries. Nobody else hears of it: an entry may be private.

Each function writes rows of the outbox, so it belongs into the transaction of what it tells of. What
happened is known by its row of the log, so telling of it again reaches nobody twice.
"""

from __future__ import annotations

from typing import Any

from leaderboard.models import FirstContact, Run, Step, Submission
from leaderboard.models.base import Faulty
from leaderboard.services.notifications import Event, generator_payload, notify_team, site_url
from protocols.errors import CATALOGUE
from protocols.states import RunState, SubmissionState

ENDS = {RunState.SUCCEEDED: Event.RUN_SUCCEEDED, RunState.FAILED: Event.RUN_FAILED}


def tell_accepted(submission: Submission) -> None:
    """The archive was checked and the trial went well."""
    _tell_submission(Event.SUBMISSION_ACCEPTED, submission, SubmissionState.ACCEPTED)


def tell_rejected(submission: Submission) -> None:
    """The archive or the trial failed, with the code, what it means and what to do."""
    _tell_submission(Event.SUBMISSION_REJECTED, submission, SubmissionState.REJECTED)


def _tell_submission(event: Event, submission: Submission, state: str) -> None:
    notify_team(event, submission, _about(submission) | _error(submission), key=_last_move(submission, state))


def _last_move(thing: Submission | Run, state: str) -> str:
    """Names the last time that something came to a state: it can fail, begin again and fail again."""
    return f"move {thing.events.filter(new=state).values_list('pk', flat=True).last()}"


def tell_run(run: Run) -> None:
    """A run has ended, well (with the headline numbers, once they are there) or badly (with the reason).

    A run that is still under way, or was cancelled on request, is no news.
    """
    run = Run.objects.select_related("submission__owner", "submission__benchmark", "edition").get(pk=run.pk)
    event = ENDS.get(RunState(run.state))
    if event is None:
        return
    about = {"run": {"id": run.pk, "edition": run.edition.number, "seed": run.seed}}
    payload = _about(run.submission) | about | _error(run)
    if event == Event.RUN_SUCCEEDED:
        payload["scores"] = _scores(run)
    notify_team(event, run.submission, payload, key=_last_move(run, run.state))


def tell_met(step: Step) -> None:
    """An entry has met a generator that arrived, or could not."""
    assert step.unit is not None
    submission, generator = step.run.submission, step.unit.generator
    contact = FirstContact.objects.filter(
        submission=submission, seed=step.run.seed, generator=generator
    ).first()
    if contact is None and not step.error_code:
        # The generator was withdrawn in the meantime.
        return
    notify_team(
        Event.FIRST_CONTACT,
        submission,
        _about(submission)
        | generator_payload(generator)
        | {"roc_auc": contact.roc_auc if contact else None}
        | _error(step),
        key=f"step {step.pk}",
    )


def _about(submission: Submission) -> dict[str, Any]:
    return {
        "submission": {
            "id": str(submission.pk),
            "name": submission.name,
            "team": submission.team.slug,
            "url": site_url("submission", submission.pk),
        }
    }


def _error(thing: Faulty) -> dict[str, Any]:
    """What the API says of an error, if there is one."""
    if not thing.error_code:
        return {}
    entry = CATALOGUE[thing.error_code]
    error = {
        "code": entry.code,
        "owner": entry.owner.value,
        "what": entry.what,
        "detail": thing.error_detail,
        "fix": entry.fix,
    }
    return {"error": error}


def _scores(run: Run) -> dict[str, dict[str, float | None]]:
    """The averages over time by period, each with its interval; ``next`` is the headline."""
    return {
        score.period: {"value": score.value, "low": score.low, "high": score.high}
        for score in run.scores.all()
    }
