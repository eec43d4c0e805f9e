"""``tidemark login``, ``submit`` and what follows, against a real server process."""

from __future__ import annotations

import hashlib
import json
import random
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from leaderboard.models import Run, Submission, Trial, Upload, User
from leaderboard.services.teams import personal_team
from local.processes import free_port
from protocols.contract import Phase
from protocols.states import RunState, StepState, SubmissionState
from tests.leaderboard.factories import (
    PASSWORD,
    BenchmarkFactory,
    GeneratorFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UserFactory,
)
from tests.local.waiting import eventually
from tests.sandbox.archives import Image, layer, write_archive
from tests.tidemark.servers import run, spawn_command, token_of, web_process
from tidemark import credentials
from tidemark.exits import Exit
from tidemark.progress import Bars

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture
def ada(server: str, monkeypatch: pytest.MonkeyPatch) -> User:
    """A submitter, whose token is in the environment."""
    user: User = UserFactory(username="ada")
    monkeypatch.setenv("TIDEMARK_TOKEN", token_of(user))
    return user


def archive(path: Path, size_bytes: int = 1000, seed: int = 0) -> Path:
    """What `docker save` would write of a detector whose one layer is noise."""
    noise = random.Random(seed).randbytes(size_bytes // 2).hex()
    return write_archive(path / f"detector-{seed}.tar", Image(layers=[layer({"weights": noise})]))


def with_password(name: str) -> User:
    """A user whom a web process can log in: it does not know the fast hash of the tests."""
    user: User = UserFactory(username=name)
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1000)
    user.save()
    return user


def submit(file: Path, *more: object) -> Any:
    return run("submit", file, "--benchmark", "faces", "--name", "spectrum", *more)


def test_a_login_is_kept_for_its_server_and_ended(web: str, transactional_db: None, home: Path) -> None:
    with_password("ada")
    done = run("login", "--server", web, "--user", "ada", input=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert "You are ada" in done.stdout
    kept = home / "config" / "tidemark" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()
    # It is the server that is meant without a name from now on.
    assert json.loads(run("status", "--json").stdout) == []
    token = credentials.token_for(web)
    assert run("logout").exit_code == 0
    assert credentials.token_for(web) == ""
    assert run("status", "--server", web, "--token", token).exit_code == Exit.REFUSED
    again = run("status", "--server", web)
    assert again.exit_code == Exit.USAGE
    assert "tidemark login" in again.stderr


def test_a_token_that_was_given_is_not_revoked(web: str, transactional_db: None, home: Path) -> None:
    token = token_of(UserFactory())
    assert run("login", "--server", web, "--token", token).exit_code == 0
    assert json.loads(run("logout", "--json").stdout) == {"server": web, "revoked": False}
    assert run("status", "--server", web, "--token", token).exit_code == 0


def test_a_wrong_password_or_token_is_kept_nowhere(web: str, transactional_db: None, home: Path) -> None:
    with_password("ada")
    refused = run("login", "--server", web, "--user", "ada", "--json", input="guess\n")
    assert refused.exit_code == Exit.REFUSED
    (error,) = json.loads(refused.stdout)["errors"]
    assert {"code", "detail", "fix"} <= set(error)
    assert run("login", "--server", web, "--token", "guess").exit_code == Exit.REFUSED
    assert not credentials.file().exists()


def test_an_archive_is_handed_in_once(ada: User, tmp_path: Path) -> None:
    BenchmarkFactory(slug="faces")
    file = archive(tmp_path)
    facts = ["--paper", "https://example.org/p", "--cutoff", "2026-05-01", "--private", "--seed", 7]
    done = submit(file, *facts, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    submission = Submission.objects.get()
    assert told["id"] == str(submission.pk)
    assert told["page"].endswith(f"/submissions/{submission.pk}/")
    assert submission.state == SubmissionState.CHECKING
    assert (submission.visibility, submission.seed) == ("private", 7)
    assert str(submission.declared_cutoff) == "2026-05-01"
    assert submission.team == personal_team(ada)
    assert submission.upload is not None
    assert submission.upload.path.read_bytes() == file.read_bytes()

    again = submit(file)
    assert again.exit_code == 0, again.output
    assert "spectrum is checking" in again.stdout
    assert Upload.objects.count() == Submission.objects.count() == 1

    # A new version under an old name is a mistake.
    other = submit(archive(tmp_path, seed=1))
    assert other.exit_code == Exit.USAGE
    assert "another --name" in other.stderr


def test_killed_in_the_middle_the_same_command_goes_on(ada: User, tmp_path: Path) -> None:
    BenchmarkFactory(slug="faces")
    file = archive(tmp_path, 150_000_000)
    command = ["submit", file, "--benchmark", "faces", "--name", "spectrum", "--json"]
    first = spawn_command(*command)
    eventually(lambda: any(upload.offset > 0 for upload in Upload.objects.all()), within_s=60)
    first.kill()
    first.communicate()
    upload = Upload.objects.get()
    # The server may still be writing what had come.
    time.sleep(0.5)
    had = upload.offset
    assert 0 < had < upload.length
    assert Submission.objects.get().state == SubmissionState.UPLOADING

    sent: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bars, "uploading", lambda bars, done, size: sent.append(done))
        second = run(*command)
    assert second.exit_code == 0, second.output
    assert sent[0] == had
    assert sent == sorted(sent)
    submission = Submission.objects.get()
    assert submission.state == SubmissionState.CHECKING
    assert submission.upload == upload
    assert sha256(upload.path) == sha256(file)


def test_without_what_this_machine_remembers_the_server_is_asked(
    ada: User, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another machine: the upload that the entry waits for is gone on with."""
    BenchmarkFactory(slug="faces")
    file = archive(tmp_path, 300_000)
    monkeypatch.setattr("tidemark.upload.PIECE_BYTES", 50_000)
    sent = stopped_after(monkeypatch, 3, lambda: submit(file))
    assert sent[-1] == 100_000
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "elsewhere"))
    with pytest.MonkeyPatch.context() as patch:
        sent = []
        patch.setattr(Bars, "uploading", lambda bars, done, size: sent.append(done))
        assert submit(file).exit_code == 0
    assert sent[0] == 100_000
    assert sha256(Upload.objects.get().path) == sha256(file)


def test_a_file_that_changed_begins_anew(ada: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BenchmarkFactory(slug="faces")
    file = archive(tmp_path, 300_000)
    monkeypatch.setattr("tidemark.upload.PIECE_BYTES", 50_000)
    stopped_after(monkeypatch, 3, lambda: submit(file))
    before = Upload.objects.get().pk
    # Built again: the same name and length, other bytes.
    file.write_bytes(archive(tmp_path, 300_000, seed=1).read_bytes())
    done = submit(file)
    assert done.exit_code == 0, done.output
    upload = Upload.objects.get()
    assert upload.pk != before
    assert sha256(upload.path) == sha256(file)
    assert Submission.objects.get().state == SubmissionState.CHECKING


def stopped_after(patch: pytest.MonkeyPatch, n: int, act: Callable[[], Any]) -> list[int]:
    """Ctrl-C when the ``n``-th count of bytes is shown; the counts."""
    sent: list[int] = []

    def stop(bars: Bars, done: int, size: int) -> None:
        sent.append(done)
        if len(sent) == n:
            raise KeyboardInterrupt

    with patch.context() as stopping:
        stopping.setattr(Bars, "uploading", stop)
        assert act().exit_code == Exit.INTERRUPTED
    return sent


def test_a_server_that_is_killed_is_waited_for(
    transactional_db: None, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BenchmarkFactory(slug="faces")
    file = archive(tmp_path, 150_000_000)
    port = free_port()
    monkeypatch.setenv("TIDEMARK_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("TIDEMARK_TOKEN", token_of(UserFactory()))
    with web_process(tmp_path / "first.log", port) as web:
        client = spawn_command("submit", file, "-b", "faces", "-n", "spectrum", "--json")
        eventually(lambda: any(upload.offset > 0 for upload in Upload.objects.all()), within_s=60)
        web.kill()
    upload = Upload.objects.get()
    assert upload.offset < upload.length
    with web_process(tmp_path / "second.log", port):
        told, errors = client.communicate(timeout=100)
    assert client.returncode == 0, errors
    assert json.loads(told)["state"] == "checking"
    assert sha256(upload.path) == sha256(file)


def test_what_the_check_would_turn_down_is_told_before_a_byte_is_sent(ada: User, tmp_path: Path) -> None:
    BenchmarkFactory(slug="faces")
    broken = write_archive(tmp_path / "a.tar", Image(layers=[layer({"a": "b"})], labels={}))
    refused = submit(broken, "--json")
    assert refused.exit_code == Exit.REJECTED
    (error,) = json.loads(refused.stdout)["errors"]
    assert error["code"] == "archive_labels"
    assert error["fix"] in refused.stderr
    assert not Submission.objects.exists()
    assert not Upload.objects.exists()


def test_a_quota_is_told_before_a_byte_is_sent(ada: User, tmp_path: Path) -> None:
    BenchmarkFactory(slug="faces")
    team = personal_team(ada)
    team.max_submissions_a_day = 0
    team.save()
    refused = submit(archive(tmp_path), "--json")
    assert refused.exit_code == Exit.REFUSED
    assert json.loads(refused.stdout)["errors"][0]["code"] == "quota_submissions"
    assert [upload.offset for upload in Upload.objects.all()] in ([], [0])


def test_what_cant_be_meant_is_told(ada: User, tmp_path: Path) -> None:
    nothing = run("submit", "no-such-image:latest", "-b", "faces", "-n", "x")
    assert nothing.exit_code == Exit.USAGE
    assert "There is no file 'no-such-image:latest'" in nothing.stderr
    unknown = submit(archive(tmp_path), "--json")
    assert unknown.exit_code == Exit.REFUSED
    assert json.loads(unknown.stdout)["errors"][0]["attr"] == "benchmark"
    nobody = run("watch", "nobody")
    assert nobody.exit_code == Exit.USAGE
    assert "You have no entry 'nobody'" in nobody.stderr
    # Somebody else's private entry is not there.
    foreign = SubmissionFactory(visibility="private")
    assert run("status", foreign.pk).exit_code == Exit.REFUSED


def own(user: User, **fields: Any) -> Submission:
    submission: Submission = SubmissionFactory(owner=user, team=personal_team(user), **fields)
    return submission


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"state": SubmissionState.REJECTED, "error_code": "archive_labels"}, Exit.REJECTED, "label"),
        ({"state": SubmissionState.REJECTED, "error_code": "storage_full"}, Exit.PLATFORM, "storage"),
        ({"state": SubmissionState.WITHDRAWN}, Exit.WITHDRAWN, "withdrawn"),
        ({"state": SubmissionState.DRAFT}, Exit.REFUSED, "waits for its archive"),
    ],
)
def test_watching_ends_by_how_it_ended(ada: User, fields: dict[str, Any], code: Exit, said: str) -> None:
    submission = own(ada, name="spectrum", **fields)
    watched = run("watch", "spectrum", "--json")
    assert watched.exit_code == code, watched.output
    (line,) = map(json.loads, watched.stdout.splitlines())
    assert line["state"] == fields["state"]
    assert line["exit"] == code
    if submission.error_code:
        assert line["error"]["code"] == submission.error_code
    assert said in run("watch", submission.pk).output.lower()


def test_a_run_is_followed_step_by_step(ada: User) -> None:
    submission = own(ada, name="spectrum")
    run_row = RunFactory(submission=submission, state=RunState.RUNNING)
    train = StepFactory(run=run_row, phase=Phase.TRAIN, window=0, state=StepState.RUNNING, progress=0.25)
    predict = StepFactory(run=run_row, phase=Phase.PREDICT, window=0, state=StepState.WAITING)
    process = spawn_command("watch", "spectrum", "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["steps_done"], first["steps"], first["exit"]) == (0, 2, None)
    assert "training window 0 25%" in first["text"]
    train.state, train.progress = StepState.SUCCEEDED, 1.0
    train.save()
    predict.state, predict.error_code = StepState.FAILED, "container_oom"
    predict.save()
    run_row.state, run_row.error_code = RunState.FAILED, "container_oom"
    run_row.save()
    rest, _ = process.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert (last["state"], last["steps_done"], last["exit"]) == ("failed", 1, Exit.REJECTED)
    assert last["error"]["code"] == "container_oom"
    assert process.returncode == Exit.REJECTED
    shown = run("status", "spectrum").stdout
    assert "1 of 2 steps" in shown
    assert "memory" in shown


def test_logs_are_those_of_the_failed_training_or_the_trial(ada: User) -> None:
    submission = own(ada, name="spectrum")
    Trial.objects.create(submission=submission, phase=Phase.TRAIN, seconds=1.5, log="hello from the trial")
    assert "hello from the trial" in run("logs", "spectrum").stdout
    run_row = RunFactory(submission=submission, state=RunState.FAILED, error_code="container_exit")
    step = StepFactory(run=run_row, phase=Phase.TRAIN, state=StepState.FAILED, log_tail="loss is nan")
    scoring = StepFactory(run=run_row, phase=Phase.PREDICT, state=StepState.FAILED, log_tail="never shown")
    assert "loss is nan" in run("logs", "spectrum").stdout
    assert "loss is nan" in run("logs", "spectrum", "--step", step.pk).stdout
    assert "hello from the trial" in run("logs", "spectrum", "--trial").stdout
    assert json.loads(run("logs", "spectrum", "--trial", "--json").stdout)[0]["phase"] == "train"
    hidden = run("logs", "spectrum", "--step", scoring.pk)
    assert hidden.exit_code == Exit.REFUSED
    assert "never shown" not in hidden.output
    foreign = StepFactory(phase=Phase.TRAIN)
    assert run("logs", "spectrum", "--step", foreign.pk).exit_code == Exit.USAGE


def test_an_entry_is_cancelled_tried_again_withdrawn_and_deleted(ada: User) -> None:
    submission = own(ada, name="spectrum")
    live = RunFactory(submission=submission, state=RunState.RUNNING)
    assert run("cancel", "spectrum").exit_code == 0
    live.refresh_from_db()
    assert live.cancel_requested or live.state == RunState.CANCELLED
    twice = run("retry", "spectrum", "--json")
    assert twice.exit_code == Exit.REFUSED
    assert json.loads(twice.stdout)["errors"][0]["code"] == "retry_impossible"
    assert run("withdraw", "spectrum", "--reason", "a bug").exit_code == 0
    submission.refresh_from_db()
    assert submission.state == SubmissionState.WITHDRAWN
    unsure = run("delete", submission.pk, input="n\n")
    assert unsure.exit_code == Exit.REFUSED
    assert "nothing was deleted" in unsure.stderr

    draft = own(ada, name="idea", draft=True)
    gone = run("delete", "idea", "--yes", "--json")
    assert json.loads(gone.stdout) == {"id": str(draft.pk), "gone": True}
    assert not Submission.objects.filter(pk=draft.pk).exists()


def test_an_entry_is_run_with_another_seed(ada: User) -> None:
    submission = own(ada, name="spectrum")
    first = RunFactory(submission=submission, state=RunState.SUCCEEDED)
    done = run("seed", "spectrum", 3)
    assert done.exit_code == 0, done.output
    made = Run.objects.get(submission=submission, seed=3)
    edition = first.edition.number
    assert done.stdout == f"spectrum runs with seed 3 on edition {edition} (run {made.pk} is queued).\n"
    twice = run("seed", "spectrum", 3, "--json")
    assert twice.exit_code == Exit.REFUSED
    assert json.loads(twice.stdout)["errors"][0]["code"] == "conflict"
    told = json.loads(run("seed", submission.pk, 4, "--json").stdout)
    assert (told["seed"], told["state"], len(told["steps"])) == (4, "queued", 4)
    assert run("seed", "spectrum", "one").exit_code == Exit.USAGE
    assert run("seed", "nothing", 1).exit_code == Exit.USAGE


def test_a_name_that_means_two_entries_asks_for_an_id(ada: User) -> None:
    first, second = own(ada, name="spectrum"), own(ada, name="spectrum")
    unclear = run("status", "spectrum")
    assert unclear.exit_code == Exit.USAGE
    assert str(first.pk) in unclear.stderr
    assert str(second.pk) in unclear.stderr
    # What is withdrawn is not meant while something else has the name.
    Submission.objects.filter(pk=second.pk).update(state=SubmissionState.WITHDRAWN)
    assert json.loads(run("status", "spectrum", "--json").stdout)["id"] == str(first.pk)
    listed = run("status").stdout
    assert str(first.pk) in listed
    assert "withdrawn" in listed


def test_generators_and_results_need_no_token(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMARK_TOKEN")
    benchmark = BenchmarkFactory(slug="faces")
    assert json.loads(run("generators", "-b", "faces", "--json").stdout) == []
    assert run("generators", "-b", "nowhere").exit_code == Exit.REFUSED
    GeneratorFactory(corpus=benchmark.corpus)
    assert json.loads(run("generators", "--json").stdout) == []
    submission = SubmissionFactory(benchmark=benchmark, name="spectrum")
    assert "no score yet" in run("results", submission.pk).stdout
    assert json.loads(run("results", submission.pk, "--json").stdout)["name"] == "spectrum"


def test_a_hiccup_of_the_server_is_waited_out(
    web: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway answers 502 while the server behind it restarts; what makes something is made once."""
    from tidemark.client import Api

    monkeypatch.setattr("tidemark.client.DELAYS_S", (0.01, 0.01))
    BenchmarkFactory(slug="faces")

    class Gateway(httpx.HTTPTransport):
        n = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            Gateway.n += 1
            return httpx.Response(502, request=request) if Gateway.n == 1 else answer

    with Api(web, token_of(UserFactory())) as api:
        api.http = httpx.Client(base_url=api.http.base_url, headers=api.http.headers, transport=Gateway())
        made = api.post("submissions/", benchmark="faces", name="spectrum")
    assert Gateway.n == 2
    assert str(Submission.objects.get().pk) == made["id"]


def sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
