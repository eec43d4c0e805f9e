"""Who may open a page of the maintainers' desk."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from leaderboard.selectors.visible import is_maintainer

P = ParamSpec("P")
R = TypeVar("R", bound=HttpRequest)
View = Callable[Concatenate[R, P], HttpResponseBase]


def maintainers_only(view: View[R, P]) -> View[R, P]:
    """Visitors are asked to sign in; everybody but maintainers is refused."""

    @login_required
    @wraps(view)
    def guarded(request: R, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not is_maintainer(request.user):
            raise PermissionDenied("The desk is for maintainers.")
        return view(request, *args, **kwargs)

    return guarded
