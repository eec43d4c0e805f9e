"""The demo's road through the public API, on a small corpus, with every real part."""

from pathlib import Path

import pytest

from local.corpus.writer import make_corpus
from local.demo import DemoError, archive, corpus_folder, play, simulated_folder, token
from local.processes import free_port
from local.stack import stack
from tidemark.client import Api, ApiError

DETECTORS = ("constant", "durall-spectrum")


@pytest.mark.processes
@pytest.mark.container
def test_from_nothing_to_a_ranking_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    folder = simulated_folder(tmp_path / "simulated")
    # One window of four; five arrive: the fourth fills the open window, the fifth opens the next.
    make_corpus(folder.path, families=9, images_per_split=(8, 6))
    newest = [row["slug"] for row in folder.generators()[4:]]

    with stack(tmp_path, port=free_port(), say=lambda _: None) as site, Api(site.url, token(site)) as api:
        archives = {name: archive(site, name) for name in DETECTORS}

        def everything() -> None:
            play(api, folder, archives, n_held=len(newest))

        everything()
        contact = api.get("benchmarks/simulated/first-contact/")
        assert [g["slug"] for g in contact["generators"]] == newest
        assert [g["window"] for g in contact["generators"]] == [1, 1, 1, 1, 2]
        detectors = [row for row in contact["rows"] if not row["entry"]["null_row"]]
        assert len(detectors) == len(DETECTORS)
        for row in detectors:
            assert all(cell["value"] is not None and cell["prospective"] for cell in row["cells"])
        for submission in api.list("submissions/", mine=True):
            second, first_run = api.get(f"submissions/{submission['id']}/")["runs"]
            arrivals = [step for step in first_run["steps"] if step["generator"]]
            assert [step["generator"] for step in arrivals] == newest[:4]
            assert [step["generator"] for step in second["steps"] if step["generator"]] == newest[4:]
            # Old windows are not trained on again, and each result was made in one attempt.
            trained = [step["reused"] for step in second["steps"] if step["phase"] == "train"]
            assert trained in ([True, False], [])
            assert {step["state"] for step in (*second["steps"], *arrivals)} == {"succeeded"}

        first = list(api.list("events/"))
        board = api.get("benchmarks/simulated/leaderboard/")["rows"]
        rows = {row["entry"]["name"]: row for row in board if not row["entry"]["null_row"]}
        assert {row["entry"]["null_row"] for row in board} == {"", "constant", "metadata"}
        assert rows["constant"]["entry"]["next"]["value"] == 0.5
        assert rows["durall-spectrum"]["entry"]["past"]["value"] > 0.5
        everything()
        assert list(api.list("events/")) == first

        printed = capsys.readouterr().out
        assert [name for name in DETECTORS if name not in printed] == []

        with pytest.raises(ApiError, match=r"POST /api/v1/corpora/ was refused \(400\): slug: .*"):
            api.post("corpora/", slug="no slug!", name="x")


def test_a_folder_that_is_no_corpus_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS", str(tmp_path))
    with pytest.raises(DemoError, match=r"holds no generators\.csv: docs/operate\.md"):
        corpus_folder()
    (tmp_path / "generators.csv").touch()
    assert not corpus_folder().simulated
    monkeypatch.delenv("CORPUS")
    assert corpus_folder().simulated
