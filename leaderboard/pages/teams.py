"""Teams: who is in them, who is invited, what they have left; and the maintainers' side of both."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from leaderboard.limits import count
from leaderboard.models import Role, Team, User
from leaderboard.pages.access import maintainers_only
from leaderboard.pages.accounts import form_methods, signed_in
from leaderboard.selectors import visible
from leaderboard.selectors.teams import (
    may_own,
    members,
    open_invitations,
    own_teams,
    team_rows,
    teams_found,
    visible_teams,
)
from leaderboard.services import teams as services
from leaderboard.services.accounts import account_close, account_reopen
from protocols.errors import RequestError

PER_PAGE = 50
GIB = 2**30


def _said(error: RequestError) -> str:
    return f"{error.detail} {error.entry.fix}"


def _team(request: HttpRequest, slug: str) -> Team:
    return get_object_or_404(visible_teams(request.user), slug=slug)


def _owned(request: HttpRequest, slug: str) -> Team:
    team = _team(request, slug)
    if not may_own(request.user, team):
        raise PermissionDenied("Only owners of the team may do this.")
    return team


def _user(username: str) -> User:
    """PostgreSQL knows no zero bytes, which an address may hold."""
    return get_object_or_404(User, username=username.replace("\0", "/"))


def _try(request: HttpRequest, done: str, act: Callable[[], object]) -> bool:
    """Act, and say on the next page how it went."""
    try:
        act()
    except RequestError as error:
        messages.error(request, _said(error))
        return False
    messages.success(request, done)
    return True


@login_required
@never_cache
@form_methods
def teams(request: HttpRequest) -> HttpResponse:
    """The reader's own, and the form for a new one."""
    user = signed_in(request)
    services.personal_team(user)
    context: dict[str, Any] = {"here": "teams"}
    status = 200
    if request.method == "POST":
        slug, name = request.POST.get("slug", "").strip(), request.POST.get("name", "")
        try:
            team = services.team_create(owner=user, slug=slug, name=name)
            messages.success(request, f"The team {team.name} is there. Now invite its members.")
            return redirect("team", slug=team.slug)
        except RequestError as error:
            context |= {"problem": _said(error), "slug": slug[:60], "name": name[:120]}
            status = 400
    context["teams"] = team_rows(own_teams(user), user)
    return render(request, "teams/teams.html", context, status=status)


@login_required
@never_cache
@require_safe
def team(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request)
    found = _team(request, slug)
    (row,) = team_rows(Team.objects.filter(pk=found.pk), user)
    owns = may_own(user, found)
    context = {
        "row": row,
        "team": found,
        "owns": owns,
        "members": list(members(found)),
        "invitations": list(open_invitations(found)) if owns else [],
        "entries": visible.submissions(user).filter(team=found).order_by("-created_at")[:PER_PAGE],
        "here": "teams",
    }
    return render(request, "teams/team.html", context)


@login_required
@require_POST
def rename(request: HttpRequest, slug: str) -> HttpResponse:
    found, name = _owned(request, slug), request.POST.get("name", "")
    _try(
        request,
        "The team has its new name.",
        lambda: services.team_rename(found, name=name, actor=signed_in(request)),
    )
    return redirect("team", slug=slug)


@login_required
@require_POST
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    found = _owned(request, slug)
    done = _try(
        request,
        f"The team {found.name} is deleted.",
        lambda: services.team_delete(found, actor=signed_in(request)),
    )
    return redirect("teams") if done else redirect("team", slug=slug)


def _may_mail(request: HttpRequest) -> bool:
    use = count("invitations", signed_in(request).pk)
    if use is None or not use.is_exceeded:
        return True
    messages.error(request, f"You sent many invitations. Wait {max(1, use.reset_s // 60)} minutes.")
    return False


@login_required
@require_POST
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    found, email = _owned(request, slug), request.POST.get("email", "")[:254]
    role = Role.OWNER if request.POST.get("role") == Role.OWNER else Role.MEMBER
    if _may_mail(request):
        _try(
            request,
            f"A link is on its way to {email}. It is good for seven days, and once.",
            lambda: services.invite(found, email=email, role=role, actor=signed_in(request)),
        )
    return redirect("team", slug=slug)


@login_required
@require_POST
def invitation_resend(request: HttpRequest, slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(open_invitations(_owned(request, slug)), pk=invitation_id)
    if _may_mail(request):
        _try(
            request,
            f"The link is on its way to {found.email} again.",
            lambda: services.invitation_resend(found, actor=signed_in(request)),
        )
    return redirect("team", slug=slug)


@login_required
@require_POST
def invitation_revoke(request: HttpRequest, slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(open_invitations(_owned(request, slug)), pk=invitation_id)
    _try(
        request,
        f"The invitation of {found.email} is taken back.",
        lambda: services.invitation_revoke(found, actor=signed_in(request)),
    )
    return redirect("team", slug=slug)


@login_required
@require_POST
def member_role(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Make somebody owner or member; or owner in place of the reader."""
    found, user, actor = _owned(request, slug), _user(username), signed_in(request)
    role = request.POST.get("role", "")
    if role == "instead":
        _try(
            request,
            f"{user} is the owner now, and you are a member.",
            lambda: services.hand_over(found, user, actor=actor),
        )
    elif role in Role.values:
        _try(
            request,
            f"{user} is {'an owner' if role == Role.OWNER else 'a member'} now.",
            lambda: services.role_set(found, user, role=role, actor=actor),
        )
    else:
        messages.error(request, "There is no such role.")
    return redirect("team", slug=slug)


@login_required
@require_POST
def member_remove(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Take somebody out, or leave."""
    actor, user = signed_in(request), _user(username)
    found = _team(request, slug) if user == actor else _owned(request, slug)
    done = f"You have left {found.name}." if user == actor else f"{user} is no member any more."
    left = _try(request, done, lambda: services.member_remove(found, user, actor=actor))
    return redirect("teams") if left and user == actor else redirect("team", slug=slug)


@never_cache
@form_methods
def invitation(request: HttpRequest, key: str) -> HttpResponse:
    """Where the link in a mail leads: to a button, because programs that look into mail open its links."""
    found = services.invitation_of(key)
    context: dict[str, Any] = {"invitation": found, "next": request.path}
    status = 200 if found else 404
    if found is not None and request.method == "POST":
        if not request.user.is_authenticated:
            return redirect(f"/login/?next={request.path}")
        try:
            membership = services.invitation_accept(key, user=signed_in(request))
            messages.success(request, f"You are in {membership.team.name} now.")
            return redirect("team", slug=membership.team.slug)
        except RequestError as error:
            context["problem"], status = error.detail, 409
    response = render(request, "teams/invitation.html", context, status=status)
    # The address of the page is a secret: it must not travel on, nor be found.
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response


# The desk


class QuotaForm(forms.Form):
    """Empty is the server's default."""

    submissions_a_day = forms.IntegerField(min_value=0, max_value=2**31 - 1, required=False)
    active_runs = forms.IntegerField(min_value=0, max_value=2**31 - 1, required=False)
    stored_gib = forms.FloatField(min_value=0, max_value=2**32, required=False)
    reason = forms.CharField(max_length=2000, required=False)

    @property
    def limits(self) -> dict[str, int | None]:
        stored = self.cleaned_data["stored_gib"]
        return {
            "max_submissions_a_day": self.cleaned_data["submissions_a_day"],
            "max_active_runs": self.cleaned_data["active_runs"],
            "max_stored_bytes": None if stored is None else round(stored * GIB),
        }


@require_safe
@maintainers_only
def desk_teams(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("text", "").replace("\0", "")[:200]
    page = Paginator(teams_found(text), PER_PAGE).get_page(request.GET.get("page"))
    pks = [found.pk for found in page]
    rows = team_rows(Team.objects.filter(pk__in=pks).order_by("slug"), signed_in(request))
    return render(
        request, "desk/teams.html", {"page": page, "rows": rows, "text": text, "here": "desk-teams"}
    )


@require_safe
@maintainers_only
def desk_team(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Team, slug=slug)
    return render(request, "desk/team.html", _desk_context(request, found))


def _desk_context(request: HttpRequest, found: Team) -> dict[str, Any]:
    (row,) = team_rows(Team.objects.filter(pk=found.pk), signed_in(request))
    stored = found.max_stored_bytes
    return {
        "row": row,
        "team": found,
        "members": list(members(found)),
        "stored_gib": "" if stored is None else f"{stored / GIB:g}",
        "here": "desk-teams",
    }


@require_POST
@maintainers_only
def desk_quotas(request: HttpRequest, slug: str) -> HttpResponse:
    found, form = get_object_or_404(Team, slug=slug), QuotaForm(request.POST)
    if not form.is_valid():
        messages.error(request, "A quota is a number from 0 on, or empty for the server's default.")
        return redirect("desk-team", slug=slug)
    reason = form.cleaned_data["reason"]
    services.quotas_set(found, actor=signed_in(request), reason=reason, **form.limits)
    messages.success(request, f"The quotas of {found.name} are set.")
    return redirect("desk-team", slug=slug)


def _account_action(act: Callable[..., None], done: str) -> Callable[[HttpRequest, str], HttpResponseBase]:
    @require_POST
    @maintainers_only
    def view(request: HttpRequest, username: str) -> HttpResponse:
        user = _user(username)
        reason = request.POST.get("reason", "").replace("\0", "")[:2000]
        _try(request, f"{user}: {done}", lambda: act(user, actor=signed_in(request), reason=reason))
        return redirect("desk-team", slug=services.personal_team(user).slug)

    return view


desk_account_close = _account_action(
    account_close, "the account is closed, its tokens and sessions are ended."
)
desk_account_reopen = _account_action(account_reopen, "the account is open. A new password is set by mail.")
