"""The demo's road through the public API, on a small corpus, with every real part."""

from pathlib import Path

import pytest

from local.corpus.writer import make_corpus
from local.demo import DemoError, archive, corpus_folder, simulated_folder, token
from local.maintainer import open_benchmark, publish_corpus
from local.processes import free_port
from local.stack import stack
from local.submitter import print_ranking, submit, watch
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
    make_corpus(folder.path, families=8, images_per_split=(8, 6))

    with stack(tmp_path, port=free_port(), say=lambda _: None) as site, Api(site.url, token(site)) as api:
        archives = {name: archive(site, name) for name in DETECTORS}

        def everything() -> None:
            publish_corpus(api, folder)
            open_benchmark(api, folder)
            watch(api, [submit(api, folder.slug, name, path) for name, path in archives.items()])

        everything()
        first = list(api.list("events/"))
        rows = {row["entry"]["name"]: row for row in api.get("benchmarks/simulated/leaderboard/")["rows"]}
        assert rows["constant"]["entry"]["next"]["value"] == 0.5
        assert rows["durall-spectrum"]["entry"]["past"]["value"] > 0.5
        assert rows["durall-spectrum"]["n_done"] == rows["durall-spectrum"]["n_steps"] == 4

        everything()
        assert list(api.list("events/")) == first

        print_ranking(api, folder.slug)
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
