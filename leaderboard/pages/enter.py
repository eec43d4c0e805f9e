"""Entering a detector: the form that makes the entry, and the page on which its archive is uploaded."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.models import Benchmark, User
from leaderboard.pages.enter_forms import EntryForm
from leaderboard.selectors import visible
from leaderboard.selectors.entering import UNFINISHED, rooms, unfinished_entries
from leaderboard.services.submissions import submission_create
from protocols.errors import RequestError

# What one request of the browser carries. Little is lost when it breaks off, for the server keeps what
# has arrived; but proxies have limits, and a session may end.
CHUNK_BYTES = 32 * 2**20


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest) -> HttpResponse:
    """The form; sent, it makes a draft and goes on to its upload."""
    user = _user(request)
    asked = {"benchmark": request.GET.get("benchmark", "")}
    form = EntryForm(request.POST if request.method == "POST" else None, user=user, initial=asked)
    if request.method == "POST" and form.is_valid():
        try:
            made = submission_create(owner=user, **form.cleaned_data)
            return redirect("enter-upload", submission_id=made.pk)
        except RequestError as error:
            form.add_error("name", error.detail)
    context = {
        "form": form,
        "unfinished": unfinished_entries(user),
        "rooms": rooms(list(user.teams.order_by("-personal_of", "slug"))),
        "max_bytes": settings.UPLOAD_MAX_BYTES,
        "has_benchmark": Benchmark.objects.exists(),
    }
    return render(request, "submissions/enter.html", context, status=400 if form.errors else 200)


@login_required
@never_cache
@require_safe
def upload(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Send a draft its archive, or go on with what was cut off. Other entries are on their own pages."""
    submission = get_object_or_404(
        visible.submissions(request.user).select_related("upload__owner", "benchmark__corpus"),
        pk=submission_id,
    )
    if not visible.may_manage(request.user, submission):
        raise PermissionDenied("Only its team may upload an entry's archive.")
    if submission.state not in UNFINISHED:
        return redirect("submission", submission_id=submission_id)
    coming = submission.upload
    context = {
        "submission": submission,
        "benchmark": submission.benchmark,
        "upload": coming,
        "is_others": coming is not None and coming.owner_id != _user(request).pk,
        "chunk_bytes": CHUNK_BYTES,
        "max_bytes": settings.UPLOAD_MAX_BYTES,
    }
    return render(request, "submissions/upload.html", context)
