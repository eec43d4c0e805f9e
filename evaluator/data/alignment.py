"""Are two pictures versions of one? Their thumbnails are laid over each other, and then compared.

A cropped picture is another one stretched and shifted along each axis. For a pair of thumbnails
the two stretches and shifts are found by Gauss-Newton steps on the squared difference (Lucas and
Kanade 1981; Baker and Matthews 2004), brightness and contrast with them. What is compared then is
the detail alone: compositions are often alike (a sky over a land, a face in the middle), details
hardly ever. Many pairs are done at once, since each is only a few small matrices.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evaluator.data.fingerprints import Pixels

Floats = NDArray[np.float32]

# Two pictures whose details correlate at least so much are near duplicates. Of planted ones
# (re-encoded, resized, cropped by 5 %) more than 99 % do; pictures of one prompt stay below.
# benchmarks/duplicates.py measures both.
NEAR = 0.95

# A shift is at most this share of half the side, and a stretch this much away from 1.
_MAX_SHIFT = 0.14
_MAX_STRETCH = 0.16
_MAX_STEP = 0.06
# First on quarter-size thumbnails, which most pairs do not survive.
_COARSE_STEPS = 2
_COARSE_DETAIL = (0.5, 2.0)
_COARSE_NEAR = 0.7
_FINE_BLURS = (1.0, 1.0, 0.7)
# The detail: from about 1 to 6 pixels of a thumbnail. A picture that has less contrast in it than
# one grey level (a blank page, a clear sky) has no detail to compare.
_DETAIL = (0.7, 3.0)
_MIN_DETAIL = 1.0
_CHUNK = 2048


def similarity(first: Pixels, second: Pixels) -> Floats:
    """The correlation of detail [n] of n pairs of thumbnails [n, side, side], laid over each other.

    0 where two pictures are soon seen to differ, or have no detail.
    """
    result = np.zeros(len(first), dtype=np.float32)
    for start in range(0, len(first), _CHUNK):
        pairs = slice(start, start + _CHUNK)
        result[pairs] = _similarity(first[pairs].astype(np.float32), second[pairs].astype(np.float32))
    return result


def _similarity(first: Floats, second: Floats) -> Floats:
    result = np.zeros(len(first), dtype=np.float32)
    small, other = _halved(first), _halved(second)
    warps = _identity(len(first))
    for _ in range(_COARSE_STEPS):
        warps = _step(small, other, warps)
    alike = np.flatnonzero(_correlation(small, other, warps, _COARSE_DETAIL) >= _COARSE_NEAR)
    if not alike.size:
        return result
    first, second, warps = first[alike], second[alike], warps[alike]
    for sigma in _FINE_BLURS:
        warps = _step(_blurred(first, sigma), _blurred(second, sigma), warps)
    result[alike] = _correlation(first, second, warps, _DETAIL)
    return result


def _identity(n: int) -> Floats:
    """Warps [n, 4] that change nothing: shift and stretch along x, then along y."""
    return np.tile(np.array([0, 1, 0, 1], dtype=np.float32), (n, 1))


def _step(target: Floats, moving: Floats, warps: Floats) -> Floats:
    """Better ``warps``, by one weighted least-squares fit of ``moving``, warped, to ``target``."""
    n, side, _ = target.shape
    x = _positions(side)
    warped, weight = _warp(moving, warps)
    along_y, along_x = np.gradient(warped, axis=(1, 2))
    columns = np.stack(
        [along_x, along_x * x, along_y, along_y * x[:, None], warped, np.ones_like(warped)], axis=1
    ).reshape(n, 6, -1)
    weighted = columns * weight.reshape(n, 1, -1)
    normal = (weighted @ columns.transpose(0, 2, 1)).astype(np.float64)
    # A picture without detail gives a singular system: a trace of the diagonal keeps it solvable.
    normal += np.eye(6) * (1e-6 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-9)
    right = (weighted @ target.reshape(n, -1, 1)).astype(np.float64)
    solution = np.linalg.solve(normal, right)[:, :, 0]
    contrast = np.clip(solution[:, 4:5], 0.3, 3.0)
    by_pixel = 2 / side
    change = np.clip(solution[:, :4] / contrast * by_pixel, -_MAX_STEP, _MAX_STEP)
    shift, stretch = warps[:, 0::2], warps[:, 1::2]
    moved = shift + stretch * change[:, 0::2]
    stretched = stretch * (1 + change[:, 1::2])
    better: Floats = np.empty_like(warps)
    better[:, 0::2] = np.clip(moved, -_MAX_SHIFT, _MAX_SHIFT)
    better[:, 1::2] = np.clip(stretched, 1 - _MAX_STRETCH, 1 + _MAX_STRETCH)
    return better


def _warp(pictures: Floats, warps: Floats) -> tuple[Floats, Floats]:
    """The pictures resampled bilinearly, and a mask of what does not come from outside of them."""
    side = pictures.shape[1]
    by_x, inside_x = _sampling(side, warps[:, 0], warps[:, 1])
    by_y, inside_y = _sampling(side, warps[:, 2], warps[:, 3])
    warped: Floats = np.asarray(by_y @ pictures @ by_x.transpose(0, 2, 1), dtype=np.float32)
    inside: Floats = inside_y[:, :, None] * inside_x[:, None, :]
    return warped, inside


def _sampling(side: int, shift: Floats, stretch: Floats) -> tuple[Floats, Floats]:
    """Matrices [n, side, side] that resample one axis, and which of its positions lie inside."""
    place = ((stretch[:, None] * _positions(side) + shift[:, None] + 1) * side - 1) / 2
    inside: Floats = ((place >= 0) & (place <= side - 1)).astype(np.float32)
    pixels = np.arange(side, dtype=np.float32)
    distance = np.abs(place.clip(0, side - 1)[:, :, None] - pixels)
    weights: Floats = np.maximum(0, 1 - distance).astype(np.float32)
    return weights, inside


def _correlation(target: Floats, moving: Floats, warps: Floats, detail: tuple[float, float]) -> Floats:
    """Of what lies between the two blurs of ``detail``, where both pictures have pixels."""
    moved, weight = _warp(moving, warps)
    target = _blurred(target, detail[0]) - _blurred(target, detail[1])
    moved = _blurred(moved, detail[0]) - _blurred(moved, detail[1])
    size = np.maximum(weight.sum((1, 2)), 1)
    target = (target - ((target * weight).sum((1, 2)) / size)[:, None, None]) * weight
    moved = (moved - ((moved * weight).sum((1, 2)) / size)[:, None, None]) * weight
    spreads = np.sqrt((target**2).sum((1, 2)) / size), np.sqrt((moved**2).sum((1, 2)) / size)
    plain = np.minimum(*spreads) < _MIN_DETAIL
    product = np.where(plain, 1, spreads[0] * spreads[1] * size)
    correlation: Floats = np.where(plain, 0, (target * moved).sum((1, 2)) / product).astype(np.float32)
    return correlation


def _halved(pictures: Floats) -> Floats:
    n, side, _ = pictures.shape
    quads = pictures.reshape(n, side // 2, 2, side // 2, 2)
    halved: Floats = np.asarray(quads.mean((2, 4)), dtype=np.float32)
    return halved


def _blurred(pictures: Floats, sigma: float) -> Floats:
    by = _blur_matrix(pictures.shape[1], sigma)
    blurred: Floats = np.asarray(by @ pictures @ by.T, dtype=np.float32)
    return blurred


@lru_cache
def _positions(side: int) -> Floats:
    """The centres of the pixels of one axis, from -1 to 1."""
    return ((2 * np.arange(side, dtype=np.float32) + 1) / side - 1).astype(np.float32)


@lru_cache
def _blur_matrix(side: int, sigma: float) -> Floats:
    """Gaussian smoothing of one axis; at the borders the weights that are left sum to 1."""
    pixels = np.arange(side)
    weights = np.exp(-((pixels[:, None] - pixels) ** 2) / (2 * sigma**2))
    matrix: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
