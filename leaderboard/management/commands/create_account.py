"""``manage.py create_account``: an account for somebody, where people may not sign up themselves."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from leaderboard.models import User
from leaderboard.services.accounts import password_link, user_ensure
from protocols.errors import RequestError


class Command(BaseCommand):
    help = "Make an account and print the link by which its owner sets a password, within three days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("email", help="You vouch for it: it counts as confirmed.")
        parser.add_argument("--maintainer", action="store_true", help="Make the user a maintainer.")

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.filter(username__iexact=options["username"]).exists():
            raise CommandError(f"There is an account {options['username']} already.")
        try:
            validate_email(options["email"])
            user = user_ensure(
                options["username"], maintainer=options["maintainer"], email=options["email"].lower()
            )
        except (RequestError, ValidationError) as error:
            raise CommandError(getattr(error, "detail", "This is no e-mail address.")) from error
        self.stdout.write(password_link(user))
