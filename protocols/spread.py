"""How an average over time would vary with other generators: its interval by a seeded bootstrap.

The interval of :mod:`~protocols.delong` treats the images of a period as one sample and
says how the average would vary with other images *of the same generators*. Here whole
generators are drawn again: within each window, a generator's evaluation fakes together
with the reals paired with them, the same draw for every checkpoint, and the average over
time is computed anew. So what is bounded is the average over the generators that might
have been released in those windows, as far as those that were are a sample of them.

Of the n generators of a window, n - 1 are drawn with replacement, and one drawn r times
weighs r n / (n - 1). With this the variance of the draws is unbiased for a mean, which n
draws of n would understate by the factor 1 - 1 / n: a quarter for windows of four (Rao and
Wu, "Resampling Inference With Complex Survey Data", JASA 83, 1988, section 2).

With doubled_wins[g, h] = 2 · (pairs of a fake of g and a real paired with h that are ranked
right, ties half), the AUROC of a draw with weights w is wᵀ W w / ((w·m) (w·n)) for the
numbers m of fakes and n of reals, so a draw costs a small matrix product and no sorting.

The interval is value ± t · s on the logit scale, s the standard deviation over the draws.
The t has the degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946),

    (Σ v)² / Σ (v² / (n - 1)),

summed over windows, where v is the part of the variance that a window's generators make.
It is read off the same draws: cov(average, weight of g) is n / (n - 1) times the influence
of g (Efron, "Estimation and Accuracy After Model Selection", JASA 109, 2014, section 3).
Percentiles of the draws would cover too rarely: a window has too few generators.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from protocols.delong import Interval, logit_interval
from protocols.periods import Period, averaged_steps, window_range
from protocols.scores import TieGroups

N_DRAWS = 1000
SEED = 1337
LEVEL = 0.95
# Below this the draws differ by nothing but rounding.
NO_SPREAD = 1e-12
# Multiplications that OpenBLAS does without asking for a second thread.
_SINGLE_THREADED = 2**17
# Neighbours in the order of the scores that are compared one by one, before sums take over.
_BLOCK = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairCounts:
    """``doubled_wins`` [u, u]: of a generator's fakes over another's reals; ``fakes`` and ``reals`` [u]."""

    doubled_wins: Floats
    fakes: Floats
    reals: Floats


def count_pairs(groups: TieGroups, unit_of: NDArray[np.int64], n_units: int) -> PairCounts:
    """The pairs ranked right between all generators, from images that are sorted already.

    ``unit_of`` [all images] is an image's generator, 0 to ``n_units`` - 1.
    """
    fake, unit = groups.is_fake, unit_of[groups.positions]
    wins = np.zeros((n_units, n_units))
    mixed = (groups.fakes > 0) & (groups.reals > 0)
    if mixed.any():
        # Among equal scores the fakes come first, so that no pair of them is counted as won.
        tie = np.repeat(np.arange(len(mixed)), groups.fakes + groups.reals)
        order = np.argsort(2 * tie + ~fake, kind="stable")
        fake, unit = fake[order], unit[order]
        wins += _tied(mixed[tie], np.cumsum(mixed)[tie] - 1, fake, unit, n_units)
    return PairCounts(
        doubled_wins=wins + 2 * _real_before_fake(fake, unit, n_units),
        fakes=np.bincount(unit[fake], minlength=n_units).astype(float),
        reals=np.bincount(unit[~fake], minlength=n_units).astype(float),
    )


def _tied(
    inside: NDArray[np.bool_],
    tie: NDArray[np.int64],
    fake: NDArray[np.bool_],
    unit: NDArray[np.int64],
    n_units: int,
) -> Floats:
    """The pairs of a fake of g and a real of h with one score."""
    rows = tie * n_units + unit
    fakes, reals = (_table(rows[inside & chosen], int(tie[-1]) + 1, n_units) for chosen in (fake, ~fake))
    return _summed(fakes, reals)


def _table(cells: NDArray[np.int64], n_rows: int, n_columns: int) -> Floats:
    """How often each cell of a table is named, by its number."""
    return np.bincount(cells, minlength=n_rows * n_columns).reshape(n_rows, n_columns).astype(float)


def _real_before_fake(fake: NDArray[np.bool_], unit: NDArray[np.int64], n_units: int) -> Floats:
    """How often a real of h comes before a fake of g, for all pairs (g, h) of generators.

    Blocks of neighbours are counted by generator; between blocks the counts do. Within a
    block every pair is looked at.
    """
    n_blocks = -(-len(fake) // _BLOCK)
    # Another class, and what fills up the last block, is of a generator of its own.
    padded = np.full((2, n_blocks * _BLOCK), n_units)
    padded[0, : len(fake)] = np.where(fake, unit, n_units)
    padded[1, : len(fake)] = np.where(fake, n_units, unit)
    fakes, reals = padded.reshape(2, n_blocks, _BLOCK)
    width = n_units + 1
    block = np.arange(n_blocks)[:, None] * width
    fakes_in, reals_in = (_table((block + units).ravel(), n_blocks, width) for units in (fakes, reals))
    between = _summed(fakes_in, np.cumsum(reals_in, axis=0) - reals_in)
    first, second = np.triu_indices(_BLOCK, 1)
    within = _table((fakes[:, second] * width + reals[:, first]).ravel(), width, width)
    both: Floats = (between + within)[:n_units, :n_units]
    return both


def _summed(first: Floats, second: Floats) -> Floats:
    """``firstᵀ second``, the sum over their rows."""
    total = np.zeros((first.shape[1], second.shape[1]))
    for rows in _pieces(len(first), total.size):
        total += first[rows].T @ second[rows]
    return total


def _pieces(n_rows: int, n_products: int) -> Iterator[slice]:
    """Slices of rows that cost ``n_products`` multiplications each, so few that BLAS starts no threads.

    On a busy machine its threads cost thirty times the product: they wait for each other.
    """
    step = max(1, _SINGLE_THREADED // max(n_products, 1))
    return (slice(start, start + step) for start in range(0, n_rows, step))


class Redraws:
    """The draws of the generators of ``n_windows`` windows; ``window_of_unit`` [u] is -1 for one in none.

    ``weights`` [1 + draws, u]: of every generator. The first row is what was, every one once.
    """

    def __init__(self, window_of_unit: Sequence[int], n_windows: int) -> None:
        self._window_of = np.asarray(window_of_unit, dtype=np.int64)
        self._n_windows = n_windows
        random = np.random.default_rng(SEED)
        self.weights = np.ones((1 + N_DRAWS, len(self._window_of)))
        self._members = [np.flatnonzero(self._window_of == window) for window in range(n_windows)]
        for members in self._members:
            n = len(members)
            if n > 1:
                drawn = random.multinomial(n - 1, np.full(n, 1 / n), size=N_DRAWS)
                self.weights[1:, members] = drawn * (n / (n - 1))

    def averages(self, counts: Mapping[int, PairCounts], period: Period) -> Floats | None:
        """The average over time of one period [1 + draws]: as it is, then with the weights of each draw.

        ``counts`` by step, each of the windows that the period covers at least. ``None`` if
        a step is missing or undefined.
        """
        steps = averaged_steps(period, self._n_windows)
        if not steps or not counts.keys() >= set(steps):
            return None
        terms = [self._aurocs(counts[step], window_range(period, step, self._n_windows)) for step in steps]
        known = [term for term in terms if term is not None]
        return np.asarray(np.mean(known, axis=0)) if len(known) == len(terms) else None

    def interval(self, counts: Mapping[int, PairCounts], period: Period) -> Interval | None:
        """The 95 % interval over generators of the average over time of one period.

        ``None`` where there is no average, if a window of it has a single generator, or if
        every draw is perfect (or none gets anything right): nothing then tells how
        generators differ. Where all scores are equal the average is ½ by construction,
        and so is the interval.
        """
        averages = self.averages(counts, period)
        covered = {
            window
            for step in averaged_steps(period, self._n_windows)
            for window in window_range(period, step, self._n_windows)
        }
        # A window whose generators were all withdrawn is in no average.
        windows = {window for window in covered if len(self._members[window])}
        if averages is None or any(len(self._members[window]) == 1 for window in windows):
            return None
        value, draws = float(averages[0]), averages[1:]
        spread = float(draws.std(ddof=1))
        if spread < NO_SPREAD:
            return Interval(value, value) if abs(value - 0.5) < NO_SPREAD else None
        if not 0 < value < 1:
            return None
        quantile = float(stdtrit(self._degrees_of_freedom(draws, windows), (1 + LEVEL) / 2))
        return logit_interval(value, quantile * spread)

    def _aurocs(self, counts: PairCounts, windows: range) -> Floats | None:
        """The AUROC of every draw, over the generators of ``windows``."""
        units = np.concatenate([self._members[window] for window in windows])
        if not len(units) or not (counts.fakes[units].all() and counts.reals[units].all()):
            return None
        weights = self.weights[:, units]
        sides = np.column_stack(
            [counts.doubled_wins[np.ix_(units, units)], counts.fakes[units], counts.reals[units]]
        )
        sums = np.concatenate([weights[rows] @ sides for rows in _pieces(len(weights), sides.size)])
        won = (sums[:, :-2] * weights).sum(axis=1)
        aurocs: Floats = won / (2 * sums[:, -2] * sums[:, -1])
        return aurocs

    def _degrees_of_freedom(self, draws: Floats, windows: Collection[int]) -> float:
        products = (draws - draws.mean())[:, None] * self.weights[1:]
        covariance = products.sum(axis=0) / (N_DRAWS - 1)
        parts, scaled = 0.0, 0.0
        for window in windows:
            n = len(self._members[window])
            part = (n - 1) / n * float(np.square(covariance[self._members[window]]).sum())
            parts += part
            scaled += part**2 / (n - 1)
        return max(parts**2 / scaled, 1.0)
