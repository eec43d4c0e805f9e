"""``Idempotency-Key``: a request that makes something may be sent again without making it twice.

An answer of success is kept for a day under the caller and the key, and given again with
``Idempotency-Replayed: true``. A request that was refused or failed has made nothing, so nothing is
kept of it, and the key is free for the next try.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from leaderboard.models import User
from leaderboard.services.idempotency import MAX_KEY_CHARACTERS, idempotency_slot
from protocols.errors import RequestError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

View = TypeVar("View")
P = ParamSpec("P")
Create = Callable[Concatenate[View, Request, P], Response]


def idempotent(*headers: str) -> Callable[[Create[View, P]], Create[View, P]]:
    """Make a view's method that creates something take an ``Idempotency-Key``.

    ``headers`` are those that say what is wanted, where the body does not.
    """

    def decorate(create: Create[View, P]) -> Create[View, P]:
        @functools.wraps(create)
        def answer(view: View, request: Request, *args: P.args, **kwargs: P.kwargs) -> Response:
            key = _key(request)
            if key is None:
                return create(view, request, *args, **kwargs)
            user = cast(User, request.user)
            with idempotency_slot(user, key, _fingerprint(request, headers)) as slot:
                if slot.kept is not None:
                    given = {**slot.kept.headers, REPLAYED: "true"}
                    return Response(slot.kept.body, status=slot.kept.status, headers=given)
                response = create(view, request, *args, **kwargs)
                if response.status_code < 300:
                    kept = {name: value for name, value in response.items() if name != "Content-Type"}
                    slot.keep(response.status_code, _plain(response.data), kept)
                return response

        answer.takes_idempotency_key = True  # type: ignore[attr-defined]
        return cast(Create[View, P], answer)

    return decorate


def _key(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise RequestError("invalid", f"{HEADER} has 1 to {MAX_KEY_CHARACTERS} printable ASCII characters.")
    return key


def _fingerprint(request: Request, headers: tuple[str, ...]) -> str:
    """The hash of what is asked for; the order of a JSON body's fields says nothing."""
    wanted: Any = [request.headers.get(name) for name in headers] if headers else request.data
    about = json.dumps([request.method, request.get_full_path(), wanted], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()


def _plain(data: Any) -> Any:
    """What a reader of the rendered answer gets."""
    return json.loads(json.dumps(data, cls=JSONEncoder))
