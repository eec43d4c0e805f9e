"""``manage.py create_token``: a token for scripts and operators."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.services.accounts import token_create, user_ensure
from protocols.errors import RequestError


class Command(BaseCommand):
    help = "Print a new token of a user, who is made without a password if there is none of this name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--maintainer", action="store_true", help="Make the user a maintainer.")
        parser.add_argument("--name", default="made by an operator", help="To know the token by.")
        parser.add_argument("--days", type=int, default=30, help="How long the token is valid (30).")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = user_ensure(options["username"], maintainer=options["maintainer"])
            token = token_create(user, ttl=timedelta(days=options["days"]), name=options["name"])
        except RequestError as error:
            raise CommandError(f"{error.detail} {error.entry.fix}") from error
        self.stdout.write(token.token)
