"""A few hundred cases of ``tests.sandbox.fuzz``; TIDEMARK_FUZZ runs as many as it says."""

from __future__ import annotations

import os
from pathlib import Path

from tests.sandbox.fuzz import RUBBISH, Fuzz, archives

N_CASES = int(os.environ.get("TIDEMARK_FUZZ", "400"))


def test_no_change_of_a_valid_archive_breaks_the_check(tmp_path: Path) -> None:
    fuzz = Fuzz(tmp_path)
    fuzz.run(N_CASES, archives())
    # The changes reach every depth: some do no harm, and most kinds of refusal come up.
    assert fuzz.results["accepted"] > 0
    assert fuzz.results["archive_digest"] > 0
    assert len(fuzz.results) >= 5


def test_no_rubbish_breaks_the_check(tmp_path: Path) -> None:
    fuzz = Fuzz(tmp_path)
    fuzz.run(N_CASES // 4, RUBBISH)
    assert set(fuzz.results) <= {"archive_unreadable", "archive_unsafe"}
