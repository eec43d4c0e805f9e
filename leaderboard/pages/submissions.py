"""A submission's live page, its owner's list, and what its team may do with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import Submission, User
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import submissions
from leaderboard.selectors.seeds import seed_offer
from leaderboard.services.seeds import submission_add_seed
from leaderboard.services.submissions import (
    submission_cancel,
    submission_delete,
    submission_retry,
    submission_withdraw,
)
from protocols.errors import RequestError

# The largest of PostgreSQL's four-byte integers.
MAX_SEED = 2**31 - 1


def _report(
    submission_id: uuid.UUID, request: HttpRequest, log_step: int | None = None
) -> submissions.SubmissionReport:
    report = submissions.submission_report(submission_id, request.user, log_step=log_step)
    if report is None:
        raise Http404("No submission that you may see has this address.")
    return report


@require_safe
@vary_on_headers("HX-Request")
def submission(request: HtmxRequest, submission_id: uuid.UUID) -> HttpResponse:
    """The whole page, or just its live part when htmx polls."""
    asked = request.GET.get("log", "")
    report = _report(submission_id, request, log_step=int(asked) if asked.isdecimal() else None)
    template = "submissions/_live.html" if request.htmx else "submissions/submission.html"
    return render(
        request,
        template,
        {
            "report": report,
            "submission": report.submission,
            "benchmark": report.submission.benchmark,
            "offer": None if request.htmx or not report.is_trusted else seed_offer(report.submission),
        },
    )


@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    return render(request, "submissions/mine.html", {"rows": submissions.submissions_of(request.user)})


def _act(
    request: HttpRequest,
    submission_id: uuid.UUID,
    action: Callable[..., object],
    done: str,
    *,
    ends: bool = False,
) -> HttpResponse:
    """Do what a button says, if the reader may, and show the page again with how it went."""
    report = _report(submission_id, request)
    assert isinstance(request.user, User)
    if not (report.may_end if ends else report.is_trusted):
        raise PermissionDenied("Only its team may do this.")
    try:
        action(report.submission, actor=request.user)
        messages.success(request, done)
    except RequestError as error:
        messages.error(request, error.detail)
    if not Submission.objects.filter(pk=submission_id).exists():
        return redirect("submissions")
    return redirect("submission", submission_id=submission_id)


@login_required
@require_POST
def cancel(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Stop what is under way; the team and maintainers may."""
    return _act(
        request,
        submission_id,
        submission_cancel,
        "Cancelled. A step that is running stops within seconds.",
    )


@login_required
@require_POST
def retry(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Go on after a fault of the platform."""
    return _act(
        request,
        submission_id,
        submission_retry,
        "It goes on where it stopped.",
    )


class SeedForm(forms.Form):
    seed = forms.IntegerField(min_value=0, max_value=MAX_SEED)


@login_required
@require_POST
def add_seed(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Run it with another seed; the team and maintainers may."""
    form = SeedForm(request.POST)

    def run(submission: Submission, *, actor: User) -> None:
        if not form.is_valid():
            raise RequestError("invalid", f"A seed is a whole number from 0 to {MAX_SEED}.")
        submission_add_seed(submission, form.cleaned_data["seed"], actor=actor)

    return _act(
        request,
        submission_id,
        run,
        "It runs with another seed. The board shows the spread as soon as all windows are scored.",
    )


@login_required
@require_POST
def withdraw(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Take an entry back; who entered it, owners of its team and maintainers may."""
    reason = request.POST.get("reason", "")[:2000]
    return _act(
        request,
        submission_id,
        partial(submission_withdraw, reason=reason),
        "Withdrawn. Published scores stay.",
        ends=True,
    )


@login_required
@require_POST
def delete(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Free an entry's bytes; who entered it, owners of its team and maintainers may."""
    return _act(
        request,
        submission_id,
        submission_delete,
        "Deleted.",
        ends=True,
    )
