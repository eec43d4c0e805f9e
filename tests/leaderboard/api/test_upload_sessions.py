"""Uploads by a page of this site: with the reader's session, and never by another site's form."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from leaderboard.models import Upload, User
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import UploadFactory, UserFactory

pytestmark = pytest.mark.django_db

TUS = {"HTTP_TUS_RESUMABLE": "1.0.0"}
BODY_TYPE = "application/offset+octet-stream"
WRITES = [
    ("post", "", {"HTTP_UPLOAD_LENGTH": "3"}),
    ("patch", "one", {"HTTP_UPLOAD_OFFSET": "7"}),
    ("delete", "one", {}),
    # The way round for clients that can send nothing but POST is no way round the secret.
    ("post", "one", {"HTTP_X_HTTP_METHOD_OVERRIDE": "PATCH", "HTTP_UPLOAD_OFFSET": "7"}),
    ("post", "one", {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"}),
]


@pytest.fixture
def reader() -> User:
    return UserFactory()


@pytest.fixture
def browser(reader: User) -> APIClient:
    """A signed-in browser with the secret in its cookie, as every page of the site leaves it."""
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(reader)
    client.get("/")
    assert "csrftoken" in client.cookies
    return client


def send(
    client: APIClient, method: str, upload: Upload | None, headers: dict[str, str], body: bytes = b"abc"
) -> int:
    address = f"/api/v1/uploads/{upload.pk if upload else ''}"
    data = body if "HTTP_UPLOAD_OFFSET" in headers else b""
    answer = client.generic(method.upper(), address, data, content_type=BODY_TYPE, **TUS, **headers)
    return int(answer.status_code)


@pytest.mark.parametrize(("method", "target", "headers"), WRITES)
def test_a_session_writes_only_with_the_secret(
    browser: APIClient, reader: User, method: str, target: str, headers: dict[str, str]
) -> None:
    upload: Upload = UploadFactory(owner=reader, length=10)
    on = upload if target else None
    secret = {"HTTP_X_CSRFTOKEN": browser.cookies["csrftoken"].value}
    assert send(browser, method, on, headers) == 403
    assert send(browser, method, on, {**headers, "HTTP_X_CSRFTOKEN": "a" * 32}) == 403
    assert send(browser, method, on, {**headers, **secret, "HTTP_ORIGIN": "https://elsewhere.test"}) == 403
    assert list(Upload.objects.all()) == [upload]
    assert upload.offset == 7

    assert send(browser, method, on, {**headers, **secret}) in (201, 204)
    is_patch = "HTTP_UPLOAD_OFFSET" in headers
    assert Upload.objects.count() == {"": 2, "one": 1 if is_patch else 0}[target]
    if is_patch:
        assert upload.path.read_bytes() == b"archiveabc"


def test_a_session_reaches_its_own_uploads_alone(browser: APIClient, reader: User) -> None:
    secret = {"HTTP_X_CSRFTOKEN": browser.cookies["csrftoken"].value}
    other: Upload = UploadFactory(length=10)
    assert send(browser, "head", other, {}) == 404
    assert send(browser, "patch", other, {"HTTP_UPLOAD_OFFSET": "7", **secret}) == 404
    assert send(browser, "delete", other, secret) == 404
    assert other.offset == 7
    assert send(browser, "head", UploadFactory(owner=reader), {}) == 200


def test_a_token_needs_no_secret_and_decides_who_is_calling(browser: APIClient, client_of: ClientOf) -> None:
    owner = UserFactory()
    upload: Upload = UploadFactory(owner=owner, length=10)
    token = client_of(owner)._credentials["HTTP_AUTHORIZATION"]
    headers = {"HTTP_UPLOAD_OFFSET": "7", "HTTP_AUTHORIZATION": token}
    assert send(browser, "patch", upload, headers) == 204
    assert upload.offset == 10
