"""What docs/contract.md promises about archives and the trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import sample, trial
from sandbox.archive import bounds

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()


@pytest.mark.parametrize(
    "promise",
    [
        f"at most {bounds.MAX_BYTES >> 30} GiB, unpacked too",
        f"{bounds.MAX_MEMBERS:,} members, {bounds.MAX_LAYERS} layers and a million files",
        f"beyond {bounds.FREE_BYTES >> 20} MiB it unpacks to at most {bounds.MAX_RATIO} times its size",
        f"the first and the last {trial.KEPT_LOG_BYTES >> 10} KiB of each phase",
        "for five minutes a phase at most",
        "The sample is two dozen images for each phase",
        "from 32×40 to 320×256 pixels",
    ],
)
def test_the_numbers(promise: str) -> None:
    assert promise in PAGE


def test_what_the_words_mean() -> None:
    assert bounds.MAX_FILES == 10**6
    assert trial.TIMEOUT_S == 300
    assert sample.N_REALS + 2 * sample.N_FAKES == 24
    assert sample.N_REALS == 2 * sample.N_FAKES
    by_pixels = sorted(sample.SIZES, key=lambda size: size[0] * size[1])
    assert (by_pixels[0], by_pixels[-1]) == ((32, 40), (320, 256))
