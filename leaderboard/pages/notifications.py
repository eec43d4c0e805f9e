"""What a user hears of without looking: mail of their own entries, webhooks, and where the rest is."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from leaderboard.models import User
from leaderboard.selectors import subscriptions
from leaderboard.services.subscriptions import account_mail_switch


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """The switch of the mail with what it sent last, the webhooks, and how to hear of arrivals."""
    user = request.user
    assert isinstance(user, User)
    if request.method == "POST":
        on = request.POST.get("mail") == "on"
        account_mail_switch(user, on=on)
        messages.success(
            request, "You get mail of your entries again." if on else "No more mail of your entries."
        )
        return redirect("notifications")
    context = {
        "is_on": subscriptions.wants_mail(user),
        "address": subscriptions.mail_address(user),
        "mails": subscriptions.own_mails(user),
        "webhooks": subscriptions.webhooks_with_last(user),
        "benchmarks": subscriptions.benchmarks(),
    }
    return render(request, "notifications/notifications.html", context)
