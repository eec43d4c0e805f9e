"""Many tests at once: which of them still count as differences."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Whether each of these tests rejects, so that any of them does so wrongly at most at ``level``.

    Holm (1979): the tests in ascending order of p are held to level / n, level / (n - 1), …, and the
    first that fails ends it. It needs nothing of how the tests depend on each other, and rejects all
    that Bonferroni's bound does. Equal p-values fare alike.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
    of Statistics 6, 1979.
    """
    rejected = [False] * len(p_values)
    by_p = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for n_before, i in enumerate(by_p):
        if p_values[i] > level / (len(p_values) - n_before):
            break
        rejected[i] = True
    return rejected
