"""The names under which containers see images."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

from django.conf import settings

ID_DIGITS = 32


class Purpose(StrEnum):
    """What an image is shown for; its id differs, so no id of training turns up in evaluation."""

    TRAIN = "train"
    EVAL = "eval"


def image_id(content_hash: str, purpose: Purpose) -> str:
    """32 hex digits of HMAC-SHA256 under ``IMAGE_ID_KEY``: stable, and telling nothing without the key."""
    return _keyed(f"{purpose} {content_hash}")[:ID_DIGITS]


def key_fingerprint() -> str:
    """Changes with ``IMAGE_ID_KEY``, so that what was built under an old key is not used under a new one."""
    return _keyed("fingerprint")


def _keyed(message: str) -> str:
    return hmac.digest(settings.IMAGE_ID_KEY.encode(), message.encode(), hashlib.sha256).hex()
