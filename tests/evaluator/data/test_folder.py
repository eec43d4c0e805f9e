"""Corpus folders, right and wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from evaluator.data.folder import GeneratorRow, read_corpus_folder
from protocols.errors import DataError
from tests.evaluator.data.images import png

HEADER = "slug,name,family,release_date,source,licence\n"
ROW = "gan,A GAN,GAN,2020-02-29,somewhere,MIT\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "small-corpus"
    for name in ("generators/gan/train/1.png", "generators/gan/eval/2.png", "reals/coco/3.png"):
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_bytes(png(int(path.stem)))
    (root / "generators.csv").write_text(HEADER + ROW)
    return root


def refused(folder: Path, slug: str = "") -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        read_corpus_folder(folder, slug)
    return caught.value.code, caught.value.detail


def test_tables_and_folders_are_read(folder: Path) -> None:
    corpus = read_corpus_folder(folder)
    assert (corpus.slug, corpus.name, corpus.simulated) == ("small-corpus", "small-corpus", False)
    assert corpus.generators == (GeneratorRow("gan", "A GAN", "GAN", date(2020, 2, 29), "somewhere", "MIT"),)
    assert corpus.reals == ("coco",)
    files = corpus.generator_files("gan")
    assert [(file.name, file.split) for file in files] == [("eval/2.png", "eval"), ("train/1.png", "train")]
    assert [(file.name, file.split) for file in corpus.real_files("coco")] == [("3.png", None)]


def test_corpus_json_names_it(folder: Path) -> None:
    (folder / "corpus.json").write_text(
        '{"slug": "sim", "name": "Sim", "simulated": true, "description": "d"}'
    )
    corpus = read_corpus_folder(folder)
    assert (corpus.slug, corpus.name, corpus.simulated, corpus.description) == ("sim", "Sim", True, "d")
    assert read_corpus_folder(folder, "other").slug == "other"


def test_hidden_files_are_left_out(folder: Path) -> None:
    (folder / "reals" / "coco" / ".DS_Store").touch()
    (folder / "reals" / ".cache").mkdir()
    assert len(read_corpus_folder(folder).real_files("coco")) == 1
    assert read_corpus_folder(folder).reals == ("coco",)


def test_a_folder_without_a_table_is_no_corpus(folder: Path) -> None:
    (folder / "generators.csv").unlink()
    assert refused(folder)[0] == "corpus_layout"
    assert refused(folder / "missing")[0] == "corpus_layout"


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        ("slug,name\n", "corpus_layout", "needs the columns"),
        (HEADER + "gan,A,B,C\n", "corpus_row", "line 2 has not 6 fields"),
        (HEADER + "gan,A,B,2020-01-01,D,E,F\n", "corpus_row", "line 2 has not 6 fields"),
        (HEADER + "g n,A,B,2020-01-01,D,E\n", "corpus_row", "'g n'"),
        (HEADER + "../x,A,B,2020-01-01,D,E\n", "corpus_row", "'../x'"),
        (HEADER + ROW + "b,A,B,2020-13-01,D,E\n", "corpus_row", "line 3: release_date '2020-13-01'"),
        (HEADER + ROW + ROW, "corpus_row", "gan twice"),
        (HEADER + ROW + "lost,A,B,2020-01-01,D,E\n", "corpus_layout", "differ in lost"),
        (HEADER, "corpus_layout", "differ in gan"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(folder: Path, table: str, code: str, words: str) -> None:
    (folder / "generators.csv").write_text(table)
    found, detail = refused(folder)
    assert found == code
    assert words in detail


def test_odd_encodings_and_json_are_refused(folder: Path) -> None:
    (folder / "corpus.json").write_text("[]")
    assert "object" in refused(folder)[1]
    (folder / "corpus.json").write_text("{")
    assert "not JSON" in refused(folder)[1]
    (folder / "corpus.json").unlink()
    (folder / "generators.csv").write_bytes((HEADER + ROW).encode("utf-16"))
    assert refused(folder)[0] == "corpus_layout"
    (folder / "generators.csv").write_text("\ufeff" + HEADER + ROW, encoding="utf-8")
    assert read_corpus_folder(folder).generators[0].slug == "gan"
    assert refused(folder, "not a slug")[0] == "corpus_layout"
    (folder / "reals" / "a b").mkdir()
    assert "'a b'" in refused(folder)[1]
