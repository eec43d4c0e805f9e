"""A submission's live page, its owner's list, and the button that cancels."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import User
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import submissions
from leaderboard.services.submissions import submission_cancel
from protocols.errors import RequestError


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
        {"report": report, "submission": report.submission, "benchmark": report.submission.benchmark},
    )


@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    return render(request, "submissions/mine.html", {"rows": submissions.submissions_of(request.user)})


@login_required
@require_POST
def cancel(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Stop what is under way; only the owner and maintainers may."""
    report = _report(submission_id, request)
    if not report.is_trusted:
        raise PermissionDenied("Only its owner may cancel a submission.")
    assert isinstance(request.user, User)
    try:
        submission_cancel(report.submission, actor=request.user)
        messages.success(request, "Cancelled. A step that is running stops within seconds.")
    except RequestError as error:
        messages.error(request, error.detail)
    return redirect("submission", submission_id=submission_id)
