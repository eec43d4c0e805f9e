"""``docs/errors.md``, written from the catalogue of errors."""

from __future__ import annotations

from leaderboard.api.errors import status_of
from protocols.errors import CATALOGUE, Owner

INTRODUCTION = """\
# Errors

Everything that can go wrong has a stable code. `manage.py document_errors` writes this page from
`protocols/errors.py`; do not edit it by hand.

A request that fails is answered with the status in the last column and

```json
{"type": "client_error", "errors": [{"code": "conflict", "detail": "There is a corpus 'faces' already.", \
"attr": null, "fix": "Read it again and repeat if you still want it."}]}
```

`type` is `client_error`, `server_error` or, where fields are wrong, `validation_error`: then there is one
error a field and `attr` names it (`budgets.train.cpus` is a field within fields). A submission, run, step or
batch that ended badly carries the same code, with its owner, in its field `error`.
"""
HEADINGS = {
    Owner.PARTICIPANT: "The participant's container\n\nThe step fails and is not tried again.",
    Owner.PLATFORM: "The platform\n\nThe step is tried again, and the participant's quota is untouched.",
    Owner.MAINTAINER: "The maintainers' images",
    Owner.CALLER: "The request",
}


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION]
    for owner, heading in HEADINGS.items():
        table = ["| code | what is wrong | what to do | status |", "|---|---|---|---|"]
        for entry in CATALOGUE.values():
            if entry.owner == owner:
                # No request is answered with what a container does later.
                status = "" if owner == Owner.PARTICIPANT else status_of(entry)
                table.append(f"| `{entry.code}` | {entry.what} | {entry.fix} | {status} |")
        parts.append(f"## {heading}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)
