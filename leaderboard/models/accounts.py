"""Accounts."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person with an account; maintainers are those with ``is_staff``."""

    @property
    def is_maintainer(self) -> bool:
        return self.is_active and self.is_staff
