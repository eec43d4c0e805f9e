"""Resumable uploads, with a real tus client against a real server."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.uploader import Uploader

from leaderboard.models import Membership, Team, Upload, User
from leaderboard.services.accounts import token_create
from leaderboard.services.teams import personal_team
from leaderboard.services.uploads import CHUNK_BYTES
from protocols.states import SubmissionState
from tests.leaderboard.factories import SubmissionFactory, UploadFactory, UserFactory

MIB = 2**20
TUS = {"HTTP_TUS_RESUMABLE": "1.0.0"}
BODY_TYPE = "application/offset+octet-stream"


def code(answer: Any) -> str:
    return answer.json()["errors"][0]["code"]


def noise(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


# What needs a server of its own: the client on one end of a connection, the file on the other.


class Server:
    """The live server as a user with a token sees it."""

    def __init__(self, url: str, user: User) -> None:
        self.url = url
        self.headers = {"Authorization": f"Token {token_create(user, ttl=timedelta(hours=1)).token}"}
        self.tus = TusClient(f"{url}/api/v1/uploads/", headers=self.headers)

    def uploader(self, content: bytes, **options: Any) -> Uploader:
        return self.tus.uploader(file_stream=io.BytesIO(content), **options)

    def patch(self, upload: Upload, body: bytes, **headers: str) -> requests.Response:
        return self.ask("PATCH", upload, data=body, headers=headers | {"Content-Type": BODY_TYPE})

    def ask(
        self, method: str, upload: Upload, *, headers: dict[str, str], **options: Any
    ) -> requests.Response:
        headers = self.headers | {"Tus-Resumable": "1.0.0"} | headers
        url = f"{self.url}/api/v1/uploads/{upload.pk}"
        return requests.request(method, url, headers=headers, timeout=30, **options)

    def begin_patch(
        self, upload: Upload, *, offset: int, length: int, body: bytes, **headers: str
    ) -> socket.socket:
        """A connection on which a PATCH of ``length`` bytes has been begun, and ``body`` been sent."""
        host, port = urlsplit(self.url).netloc.split(":")
        connection = socket.create_connection((host, int(port)), timeout=30)
        head = [
            f"PATCH /api/v1/uploads/{upload.pk} HTTP/1.1",
            f"Host: {host}:{port}",
            f"Authorization: {self.headers['Authorization']}",
            "Tus-Resumable: 1.0.0",
            f"Content-Type: {BODY_TYPE}",
            f"Content-Length: {length}",
            f"Upload-Offset: {offset}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        return connection


@pytest.fixture
def server(live_server: LiveServer, submitter: User) -> Server:
    return Server(live_server.url, submitter)


def eventually(condition: Any) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it did not come to pass in 30 s"
        time.sleep(0.02)


@pytest.fixture
def archive() -> bytes:
    return noise(5 * MIB + 17)


def test_a_tus_client_uploads_a_file_in_pieces(server: Server, archive: bytes) -> None:
    uploader = server.uploader(archive, chunk_size=2 * MIB, metadata={"filename": "détecteur.tar"})
    uploader.upload()
    upload = Upload.objects.get()
    assert uploader.url.endswith(f"/api/v1/uploads/{upload.pk}")
    assert upload.filename == "détecteur.tar"
    assert upload.is_complete
    assert upload.path.read_bytes() == archive


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_an_upload_goes_on_after_its_client_was_cut_off_in_mid_request(
    server: Server, archive: bytes, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    uploader = server.uploader(archive, chunk_size=MIB)
    uploader.upload(stop_at=MIB)
    upload = Upload.objects.get()
    assert upload.offset == MIB
    connection = server.begin_patch(
        upload, offset=MIB, length=len(archive) - MIB, body=archive[MIB : 3 * MIB + 5]
    )
    eventually(lambda: upload.offset >= 3 * MIB)
    if reset:
        # A linger time of zero makes the kernel send RST: what is under way is lost.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

    resumed = server.uploader(archive, chunk_size=MIB, url=uploader.url)
    assert 3 * MIB <= resumed.offset <= 3 * MIB + 5
    eventually(lambda: server.patch(upload, b"", **{"Upload-Offset": str(upload.offset)}).status_code == 204)
    # A client that goes away is no failure of the server.
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    resumed = server.uploader(archive, chunk_size=MIB, url=uploader.url)
    resumed.upload()
    assert upload.path.read_bytes() == archive


def test_only_one_request_writes_at_a_time(server: Server, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, content=b"", length=3 * MIB)
    with closing(server.begin_patch(upload, offset=0, length=3 * MIB, body=noise(2 * MIB))):
        eventually(lambda: upload.offset >= MIB)
        answers = [
            server.patch(upload, b"x", **{"Upload-Offset": str(upload.offset)}),
            server.ask("DELETE", upload, headers={}),
        ]
        assert [(answer.status_code, code(answer)) for answer in answers] == [(423, "upload_locked")] * 2
    eventually(lambda: server.ask("DELETE", upload, headers={}).status_code == 204)
    assert not upload.path.exists()


def test_a_client_that_goes_on_at_a_wrong_offset_is_told_so_and_finds_the_right_one(
    server: Server, archive: bytes
) -> None:
    uploader = server.uploader(archive, chunk_size=MIB)
    uploader.upload(stop_at=2 * MIB)
    uploader.offset = 3 * MIB
    with pytest.raises(TusUploadFailed) as caught:
        uploader.upload_chunk()
    assert caught.value.status_code == 409
    # With retries the client asks for the offset and is right at once.
    uploader = server.uploader(archive, chunk_size=MIB, url=uploader.url, retries=1, retry_delay=0)
    uploader.offset = 3 * MIB
    uploader.upload()
    assert Upload.objects.get().path.read_bytes() == archive


def test_nobody_else_finds_an_upload(server: Server, live_server: LiveServer, archive: bytes) -> None:
    uploader = server.uploader(archive, chunk_size=MIB)
    uploader.upload(stop_at=MIB)
    for user in (UserFactory(), UserFactory(maintainer=True)):
        with pytest.raises(TusCommunicationError) as caught:
            Server(live_server.url, user).uploader(archive, url=uploader.url)
        assert caught.value.status_code == 404
    assert Upload.objects.get().offset == MIB


def test_a_tus_client_sends_checksums_with_its_pieces(server: Server, archive: bytes) -> None:
    server.uploader(archive, chunk_size=2 * MIB, upload_checksum=True).upload()
    upload = Upload.objects.get()
    assert upload.path.read_bytes() == archive
    assert upload.sha256 == hashlib.sha256(archive).hexdigest()
    assert not upload.mark.exists()


def test_bytes_that_wait_for_their_checksum_do_not_count(server: Server, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, content=b"start", length=4 * MIB)
    checksum = {"Upload-Checksum": "sha1 " + base64.b64encode(bytes(20)).decode()}
    connection = server.begin_patch(upload, offset=5, length=2 * MIB, body=noise(MIB), **checksum)
    eventually(lambda: upload.path.stat().st_size > 5)
    assert upload.offset == 5
    connection.close()
    eventually(lambda: upload.path.stat().st_size == 5)
    assert upload.path.read_bytes() == b"start"


# What the answers say.


def tus(client: APIClient, method: str, path: str, body: bytes = b"", **headers: Any) -> Any:
    return client.generic(method, f"/api/v1/uploads/{path}", body, content_type=BODY_TYPE, **TUS | headers)


def test_everybody_may_ask_what_the_server_can_do(visitor: APIClient, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 12345
    answer = visitor.options("/api/v1/uploads/")
    assert answer.status_code == 204
    assert {name: answer[name] for name in answer.headers if name.startswith("Tus-")} == {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0",
        "Tus-Extension": "creation,creation-with-upload,expiration,termination,checksum",
        "Tus-Checksum-Algorithm": "sha1,sha256,md5",
        "Tus-Max-Size": "12345",
    }


def test_an_upload_is_made_asked_for_filled_and_given_up(owner: APIClient, submitter: User) -> None:
    made = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="5")
    upload = Upload.objects.get()
    assert (made.status_code, made["Location"]) == (201, f"/api/v1/uploads/{upload.pk}")
    assert upload.owner == submitter
    expires = parsedate_to_datetime(made["Upload-Expires"])
    assert abs(expires.astimezone(UTC) - upload.expires_at) < timedelta(seconds=2)

    sent = tus(owner, "PATCH", f"{upload.pk}", b"abc", HTTP_UPLOAD_OFFSET="0")
    assert (sent.status_code, sent["Upload-Offset"], sent.content) == (204, "3", b"")
    asked = tus(owner, "HEAD", f"{upload.pk}")
    assert (asked.status_code, asked["Upload-Offset"], asked["Upload-Length"]) == (200, "3", "5")
    assert asked["Cache-Control"] == "no-store"
    assert "Upload-Expires" in asked.headers
    assert asked["Tus-Resumable"] == "1.0.0"

    assert tus(owner, "DELETE", f"{upload.pk}").status_code == 204
    assert tus(owner, "HEAD", f"{upload.pk}").status_code == 404
    assert not upload.path.exists()


@pytest.mark.parametrize("version", ["0.2.2", "2.0.0", ""])
def test_another_version_of_the_protocol_is_refused(owner: APIClient, version: str) -> None:
    answer = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="5", HTTP_TUS_RESUMABLE=version)
    assert (answer.status_code, code(answer)) == (412, "upload_version")
    assert answer["Tus-Version"] == "1.0.0"
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("length", "status", "expected"),
    [
        ("1000", 201, None),
        ("1001", 413, "upload_size"),
        ("0", 413, "upload_size"),
        ("9" * 20, 413, "upload_size"),
        ("9" * 5000, 400, "invalid"),
        ("-1", 400, "invalid"),
        ("1e3", 400, "invalid"),
        ("", 400, "invalid"),
        ("²", 400, "invalid"),
    ],
)
def test_the_declared_length_is_checked(
    owner: APIClient, settings: Any, length: str, status: int, expected: str | None
) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    answer = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH=length)
    assert answer.status_code == status
    assert expected is None or code(answer) == expected
    assert Upload.objects.count() == (1 if expected is None else 0)


def test_more_than_was_declared_is_refused(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, content=b"abc", length=5)
    answer = tus(owner, "PATCH", f"{upload.pk}", b"too many", HTTP_UPLOAD_OFFSET="3")
    assert (answer.status_code, code(answer)) == (413, "upload_size")
    assert upload.offset == 3


@pytest.mark.parametrize(("offset", "status"), [("2", 409), ("4", 409), ("x", 400), ("", 400)])
def test_the_offset_is_checked(owner: APIClient, submitter: User, offset: str, status: int) -> None:
    upload = UploadFactory(owner=submitter, content=b"abc", length=5)
    answer = tus(owner, "PATCH", f"{upload.pk}", b"de", HTTP_UPLOAD_OFFSET=offset)
    assert answer.status_code == status
    assert upload.path.read_bytes() == b"abc"


def test_bytes_of_another_type_are_refused(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, content=b"", length=2)
    answer = owner.patch(
        f"/api/v1/uploads/{upload.pk}", b"{}", content_type="application/json", **TUS, HTTP_UPLOAD_OFFSET="0"
    )
    assert (answer.status_code, code(answer)) == (415, "unsupported_media_type")


def test_a_body_without_a_length_is_refused(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, content=b"", length=2)
    headers = {"HTTP_UPLOAD_OFFSET": "0", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert tus(owner, "PATCH", f"{upload.pk}", **headers).status_code == 400


@pytest.mark.parametrize(
    ("metadata", "filename"),
    [
        (f"filename {base64.b64encode('é.tar'.encode()).decode()}", "é.tar"),
        (f"is_confidential,filename {base64.b64encode(b'a.tar').decode()},x Yg==", "a.tar"),
        ("other Yg==", ""),
        ("filename", ""),
        ("filename " + base64.b64encode(b"n" * 400).decode(), "n" * 255),
    ],
)
def test_the_file_name_is_kept(owner: APIClient, metadata: str, filename: str) -> None:
    tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="5", HTTP_UPLOAD_METADATA=metadata)
    assert Upload.objects.get().filename == filename


@pytest.mark.parametrize("encoded", ["!", "Y", base64.b64encode(b"\xff\xfe").decode(), "AA=="])
def test_a_file_name_that_is_none_is_refused(owner: APIClient, encoded: str) -> None:
    answer = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="5", HTTP_UPLOAD_METADATA=f"filename {encoded}")
    assert (answer.status_code, code(answer)) == (400, "invalid")
    assert not Upload.objects.exists()


def test_an_expired_upload_is_gone(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, expires_at=timezone.now() - timedelta(seconds=1))
    assert tus(owner, "HEAD", f"{upload.pk}").status_code == 404


def test_an_upload_that_something_owns_is_not_given_up(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter)
    SubmissionFactory(owner=submitter, upload=upload, state=SubmissionState.CHECKING)
    answer = tus(owner, "DELETE", f"{upload.pk}")
    assert (answer.status_code, code(answer)) == (409, "upload_used")
    assert upload.path.exists()


def test_bytes_that_are_gone_are_not_written_anew(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter)
    upload.path.unlink()
    answer = tus(owner, "PATCH", f"{upload.pk}", b"x", HTTP_UPLOAD_OFFSET="0")
    assert (answer.status_code, code(answer)) == (404, "not_found")
    assert not upload.path.exists()


def test_a_full_disk_is_the_servers_fault(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, length=100)
    upload.path.unlink()
    upload.path.symlink_to("/dev/full")
    owner.raise_request_exception = False
    answer = tus(owner, "PATCH", f"{upload.pk}", b"x", HTTP_UPLOAD_OFFSET="0")
    assert (answer.status_code, code(answer)) == (507, "storage_full")


def test_a_method_in_a_header_counts(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter)
    assert tus(owner, "POST", f"{upload.pk}").status_code == 405
    assert tus(owner, "POST", f"{upload.pk}", HTTP_X_HTTP_METHOD_OVERRIDE="delete").status_code == 204


def checksum(algorithm: str, content: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return {"HTTP_UPLOAD_CHECKSUM": f"{algorithm} {digest}"}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_piece_with_a_wrong_checksum_is_thrown_away(
    owner: APIClient, submitter: User, algorithm: str
) -> None:
    upload = UploadFactory(owner=submitter, content=b"abc", length=5)
    path, at = f"{upload.pk}", {"HTTP_UPLOAD_OFFSET": "3"}
    answer = tus(owner, "PATCH", path, b"dE", **at, **checksum(algorithm, b"de"))
    assert (answer.status_code, code(answer)) == (460, "upload_checksum")
    assert upload.path.read_bytes() == b"abc"
    answer = tus(owner, "PATCH", path, b"de", **at, **checksum(algorithm, b"de"))
    assert (answer.status_code, answer["Upload-Offset"]) == (204, "5")
    upload.refresh_from_db()
    assert upload.sha256 == hashlib.sha256(b"abcde").hexdigest()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("crc32 AAAAAA==", "upload_algorithm"),
        ("SHA1 " + base64.b64encode(bytes(20)).decode(), "upload_algorithm"),
        ("sha1", "invalid"),
        ("sha1 !!", "invalid"),
        ("sha1 " + base64.b64encode(bytes(19)).decode(), "invalid"),
        ("", "upload_algorithm"),
    ],
)
def test_a_checksum_that_is_none_is_refused(
    owner: APIClient, submitter: User, header: str, expected: str
) -> None:
    upload = UploadFactory(owner=submitter, content=b"abc", length=5)
    answer = tus(owner, "PATCH", f"{upload.pk}", b"de", HTTP_UPLOAD_OFFSET="3", HTTP_UPLOAD_CHECKSUM=header)
    assert (answer.status_code, code(answer)) == (400, expected)
    assert upload.offset == 3


def test_the_first_bytes_may_come_with_the_creation(owner: APIClient) -> None:
    made = tus(owner, "POST", "", b"abc", HTTP_UPLOAD_LENGTH="5", **checksum("sha1", b"abc"))
    assert (made.status_code, made["Upload-Offset"]) == (201, "3")
    upload = Upload.objects.get()
    assert made["Location"] == f"/api/v1/uploads/{upload.pk}"
    assert tus(owner, "PATCH", f"{upload.pk}", b"de", HTTP_UPLOAD_OFFSET="3").status_code == 204
    upload.refresh_from_db()
    assert upload.sha256 == hashlib.sha256(b"abcde").hexdigest()
    whole = tus(owner, "POST", "", b"xyz", HTTP_UPLOAD_LENGTH="3")
    assert whole["Upload-Offset"] == "3"
    assert Upload.objects.exclude(pk=upload.pk).get().sha256 == hashlib.sha256(b"xyz").hexdigest()


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"HTTP_UPLOAD_LENGTH": "2"}, 413, "upload_size"),
        ({"HTTP_UPLOAD_LENGTH": "9", **checksum("md5", b"other")}, 460, "upload_checksum"),
        ({"HTTP_UPLOAD_LENGTH": "9", "HTTP_IDEMPOTENCY_KEY": "k"}, 400, "invalid"),
    ],
)
def test_a_creation_whose_bytes_are_refused_leaves_nothing(
    owner: APIClient, headers: dict[str, str], status: int, expected: str
) -> None:
    answer = tus(owner, "POST", "", b"abc", **headers)
    assert (answer.status_code, code(answer)) == (status, expected)
    assert not Upload.objects.exists()


def metadata(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def test_the_metadata_is_told_again_as_it_came(owner: APIClient) -> None:
    sent = metadata(filename="a.tar", filetype="application/x-tar", colour="blue")
    made = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="5", HTTP_UPLOAD_METADATA=sent)
    assert owner.head(made["Location"], **TUS)["Upload-Metadata"] == sent


@pytest.mark.parametrize(
    "sent", ["filename YQ==,filename Yg==", "filename YQ== Yg==", "x " + "A" * 5000, "é x"]
)
def test_metadata_that_says_nothing_clear_is_refused(owner: APIClient, sent: str) -> None:
    answer = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="5", HTTP_UPLOAD_METADATA=sent)
    assert (answer.status_code, code(answer)) == (400, "invalid")
    assert not Upload.objects.exists()


def test_an_upload_counts_against_the_team_that_it_names(
    owner: APIClient, submitter: User, maintainer: APIClient
) -> None:
    own, other = Team.objects.create(slug="waves", name="Waves"), Team.objects.create(slug="dunes", name="D")
    Membership.objects.create(team=own, user=submitter)

    def made(client: APIClient, slug: str | None) -> Any:
        told = {"HTTP_UPLOAD_METADATA": metadata(team=slug)} if slug else {}
        return tus(client, "POST", "", HTTP_UPLOAD_LENGTH="5", **told)

    for slug in (other.slug, "nobody", "‍"):
        answer = made(owner, slug)
        assert (answer.status_code, code(answer)) == (400, "invalid")
    assert not Upload.objects.exists()
    assert made(owner, "waves").status_code == 201
    assert Upload.objects.get().team == own
    assert made(owner, None).status_code == 201
    assert Upload.objects.first().team == personal_team(submitter)
    assert made(maintainer, None).status_code == 201
    assert Upload.objects.first().team is None


def test_beyond_its_quota_a_team_is_told_how_much_is_left(
    owner: APIClient, submitter: User, settings: Any
) -> None:
    settings.QUOTA_STORED_BYTES = 100
    UploadFactory(owner=submitter, length=70)
    answer = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="31")
    assert (answer.status_code, code(answer)) == (413, "quota_bytes")
    assert "30 are left" in answer.json()["errors"][0]["detail"]
    assert tus(owner, "POST", "", HTTP_UPLOAD_LENGTH="30").status_code == 201


def test_more_than_the_disk_has_is_refused_before_a_byte_is_sent(owner: APIClient, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = settings.QUOTA_STORED_BYTES = 2**60
    owner.raise_request_exception = False
    answer = tus(owner, "POST", "", HTTP_UPLOAD_LENGTH=str(2**59))
    assert (answer.status_code, code(answer)) == (507, "storage_full")
    assert not Upload.objects.exists()


def test_bytes_that_are_gone_have_no_offset(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter)
    upload.path.unlink()
    assert tus(owner, "HEAD", f"{upload.pk}").status_code == 404


def test_every_piece_moves_the_expiry_on(owner: APIClient, submitter: User) -> None:
    soon = timezone.now() + timedelta(seconds=60)
    upload = UploadFactory(owner=submitter, length=10, expires_at=soon)
    answer = tus(owner, "PATCH", f"{upload.pk}", b"x", HTTP_UPLOAD_OFFSET="7")
    upload.refresh_from_db()
    assert upload.expires_at > soon + timedelta(days=6)
    told = parsedate_to_datetime(answer["Upload-Expires"])
    assert abs(told.astimezone(UTC) - upload.expires_at) < timedelta(seconds=2)


def test_giving_up_an_upload_gives_its_entry_back_as_a_draft(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, length=100)
    submission = SubmissionFactory(owner=submitter, draft=True)
    attached = owner.post(f"/api/v1/submissions/{submission.pk}/upload/", {"upload": str(upload.pk)})
    assert attached.json()["state"] == "uploading"
    assert tus(owner, "DELETE", f"{upload.pk}").status_code == 204
    submission.refresh_from_db()
    assert (submission.state, submission.upload) == (SubmissionState.DRAFT, None)
    assert submission.events.last().actor == str(submitter)
    assert not upload.path.exists()


def test_the_last_byte_queues_the_check_of_the_entry_that_waits(owner: APIClient, submitter: User) -> None:
    upload = UploadFactory(owner=submitter, length=9)
    submission = SubmissionFactory(owner=submitter, draft=True)
    owner.post(f"/api/v1/submissions/{submission.pk}/upload/", {"upload": str(upload.pk)})
    for offset, state in ((7, SubmissionState.UPLOADING), (8, SubmissionState.CHECKING)):
        tus(owner, "PATCH", f"{upload.pk}", b"x", HTTP_UPLOAD_OFFSET=str(offset))
        submission.refresh_from_db()
        assert submission.state == state


def test_a_caller_finds_their_uploads_on_another_day(owner: APIClient, submitter: User) -> None:
    UploadFactory()  # Somebody else's.
    UploadFactory(owner=submitter, expires_at=timezone.now() - timedelta(seconds=1))
    begun = UploadFactory(owner=submitter, length=100, filename="begun.tar")
    whole = UploadFactory(owner=submitter, sha256="ab" * 32)
    entry = SubmissionFactory(owner=submitter, upload=begun, state=SubmissionState.UPLOADING)
    first = owner.get("/api/v1/uploads/?page_size=1").json()
    assert [row["id"] for row in first["results"]] == [str(whole.pk)]
    (row,) = owner.get(first["next"]).json()["results"]
    assert row | {"created_at": "", "expires_at": ""} == {
        "id": str(begun.pk),
        "filename": "begun.tar",
        "team": personal_team(submitter).slug,
        "length": 100,
        "offset": 7,
        "sha256": "",
        "submission": str(entry.pk),
        "created_at": "",
        "expires_at": "",
    }
    for finished, expected in (("true", whole), ("false", begun)):
        rows = owner.get(f"/api/v1/uploads/?finished={finished}").json()["results"]
        assert [row["id"] for row in rows] == [str(expected.pk)]


def test_nobody_else_lists_an_upload(visitor: APIClient, maintainer: APIClient) -> None:
    UploadFactory()
    assert visitor.get("/api/v1/uploads/").status_code == 401
    assert maintainer.get("/api/v1/uploads/").json()["results"] == []


class Recorder(io.BytesIO):
    """A body of ``size`` bytes that notes how much is asked for at once."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size
        self.asked: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.asked.append(size)
        taken = min(size, self.left)
        self.left -= taken
        return bytes(taken)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    return Recorder(9 * MIB)


def test_a_body_is_never_in_memory_as_a_whole(owner: APIClient, submitter: User, recorder: Recorder) -> None:
    upload = UploadFactory(owner=submitter, content=b"", length=9 * MIB)
    extra = {"wsgi.input": recorder, "CONTENT_LENGTH": str(9 * MIB), "HTTP_UPLOAD_OFFSET": "0"}
    assert tus(owner, "PATCH", f"{upload.pk}", **extra).status_code == 204
    assert upload.is_complete
    assert min(recorder.asked) >= 0
    assert max(recorder.asked) <= CHUNK_BYTES
