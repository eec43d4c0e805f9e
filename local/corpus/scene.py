"""Procedural scenes: dead leaves with natural colours, light and texture.

A dead leaves image is a stack of opaque shapes whose sizes follow a power law; its edges,
occlusions and 1/f spectrum are those of photographs (Lee, Mumford, Huang, "Occlusion
Models for Natural Images", IJCV 2001; Bordenave, Gousseau, Roueff, "The Dead Leaves
Model", Adv. Appl. Prob. 2006). Each shape is shaded like a bulging surface under one
light, casts a soft shadow on what lies behind and carries a 1/f texture. Every other
scene is a landscape: sky with clouds, ridges, and leaves that grow towards the viewer.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]

# Diffuse reflectances (linear RGB) of things that photographs show.
REFLECTANCES = {
    "foliage": ((0.08, 0.16, 0.04), (0.16, 0.24, 0.06), (0.05, 0.10, 0.05), (0.24, 0.27, 0.09)),
    "soil": ((0.21, 0.14, 0.09), (0.32, 0.24, 0.16), (0.12, 0.08, 0.06), (0.42, 0.35, 0.26)),
    "stone": ((0.30, 0.29, 0.28), (0.19, 0.19, 0.21), (0.45, 0.43, 0.40), (0.10, 0.10, 0.11)),
    "brick": ((0.36, 0.15, 0.10), (0.48, 0.26, 0.18), (0.55, 0.48, 0.40), (0.20, 0.09, 0.07)),
    "water": ((0.08, 0.14, 0.20), (0.14, 0.24, 0.31), (0.05, 0.08, 0.12), (0.30, 0.38, 0.42)),
    "cloth": ((0.55, 0.52, 0.48), (0.12, 0.15, 0.24), (0.40, 0.13, 0.11), (0.55, 0.42, 0.16)),
}
CLOUD = np.array([0.85, 0.86, 0.88], np.float32)
SHADOW_OFFSET = 0.012  # of the side
VERTICES = 14


@dataclass(frozen=True)
class Leaves:
    """N shapes from back to front: centres and radii in pixels, outlines N×V×2."""

    centre: NDArray[np.float32]
    radius: NDArray[np.float32]
    outline: NDArray[np.int32]


def render(rng: np.random.Generator, side: int) -> Image:
    """A scene's linear radiance, ``side``×``side``×3 float32, mean about 0.2, unclipped."""
    landscape = rng.random() < 0.5
    horizon = float(rng.uniform(0.2, 0.55)) * side if landscape else 0.0
    leaves = _scatter(rng, side, horizon)
    fine = power_law_noise(rng, (side, side), exponent=1.0)
    coarse = power_law_noise(rng, (side, side), exponent=1.4)
    labels = np.zeros((side, side), np.int32)
    for label, outline in enumerate(leaves.outline, start=1):
        cv2.fillConvexPoly(labels, outline, label)
    painted = labels > 0
    light = rng.normal(size=2).astype(np.float32)
    light /= np.linalg.norm(light)
    radiance = _shade(rng, np.maximum(labels - 1, 0), leaves, (fine, coarse), light)
    if landscape:
        backdrop, ground = _backdrop(rng, side, horizon, (fine, coarse))
        radiance = np.where(painted[..., None], radiance, backdrop)
        painted |= ground
    depth = labels.astype(np.float32) / np.float32(max(len(leaves.radius), 1))
    radiance *= np.where(painted, _shadows(depth, light), np.float32(1))[..., None]
    if rng.random() < 0.3:
        radiance = _defocus(rng, radiance, depth)
    light_field = 1 + np.float32(0.25) * _smooth_noise(rng, side, exponent=2.0)
    exposure = 0.2 * math.exp(rng.normal(scale=0.35)) / float(radiance.mean())
    tint = exposure * (1 + rng.normal(scale=0.06, size=3))
    lit = radiance * light_field[..., None] * tint.astype(np.float32)
    return np.asarray(np.maximum(lit, 0), dtype=np.float32)


def power_law_noise(rng: np.random.Generator, shape: tuple[int, ...], exponent: float) -> Image:
    """Gaussian noise with amplitude spectrum 1/f^exponent along all axes; mean 0, variance 1."""
    white = rng.standard_normal(shape, dtype=np.float32)
    field = fft.irfftn(fft.rfftn(white) * _power_law(shape, exponent), s=shape)
    return np.asarray(field / field.std(), dtype=np.float32)


@functools.cache
def _power_law(shape: tuple[int, ...], exponent: float) -> Image:
    axes = [fft.fftfreq(n) for n in shape[:-1]] + [fft.rfftfreq(shape[-1])]
    frequency = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    frequency.flat[0] = np.inf
    return np.asarray(frequency**-exponent, dtype=np.float32)


def _smooth_noise(rng: np.random.Generator, side: int, exponent: float) -> Image:
    """A field with little detail (exponent near 2), so a quarter of the resolution makes it."""
    coarse = power_law_noise(rng, (side // 4, side // 4), exponent)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _scatter(rng: np.random.Generator, side: int, horizon: float) -> Leaves:
    """Shapes with the scale-invariant size law p(r) ~ r^-3, enough to cover the plane twice."""
    smallest, largest = 0.01 * side, float(rng.uniform(0.18, 0.4)) * side
    # Under r^-3 every octave of sizes covers the same area; this count covers it twice in all.
    mean_area = math.pi * 2 * smallest**2 * math.log(largest / smallest)
    count = int(2.0 * side * (side - horizon) / mean_area)
    u = rng.random(count)
    radius = 1 / np.sqrt(u / largest**2 + (1 - u) / smallest**2)
    centre = np.stack([rng.uniform(0, side, count), rng.uniform(horizon, side * 1.05, count)], axis=1)
    if horizon:
        nearness = (centre[:, 1] - horizon) / (side - horizon)
        radius *= 0.25 + nearness
        order = np.argsort(centre[:, 1] + rng.normal(scale=0.05 * side, size=count), kind="stable")
        centre, radius = centre[order], radius[order]
    return Leaves(centre.astype(np.float32), radius.astype(np.float32), _outlines(rng, centre, radius))


def _outlines(
    rng: np.random.Generator, centre: NDArray[np.float64], radius: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Superellipses: the scene's exponent makes them pointed (1), round (2) or boxy (6)."""
    count = len(radius)
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    power = 2 / rng.choice([1.2, 2.0, 2.0, 6.0])
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    flatness = np.exp(rng.normal(scale=rng.uniform(0.1, 0.6), size=(count, 1)))
    wobble = 1 + rng.uniform(-0.12, 0.12, size=(count, VERTICES))
    # A scene's shapes share a direction more or less: grass, walls, heaps.
    turn = rng.uniform(0, np.pi) + rng.normal(scale=rng.uniform(0.05, 1.5), size=(count, 1))
    x, y = x * wobble * flatness, y * wobble / flatness
    outline = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=2)
    return np.rint(outline * radius[:, None, None] + centre[:, None, :]).astype(np.int32)


def _colours(rng: np.random.Generator, place: NDArray[np.bool_]) -> Image:
    """A reflectance for each entry of ``place``, which says of which of two kinds of matter it is.

    Each kind has a dominant colour and the spread of wear and dirt around it.
    """
    kinds = rng.choice(list(REFLECTANCES), size=2, replace=False)
    palettes = np.array([REFLECTANCES[kind] for kind in kinds])
    weights = rng.dirichlet([3.0, 1.0, 0.7, 0.3], size=2).cumsum(axis=1)
    kind = place.astype(int)
    shade = (rng.random(len(place))[:, None] > weights[kind, :-1]).sum(axis=1)
    brightness = np.exp(rng.normal(scale=0.3, size=(len(place), 1)))
    tint = np.exp(rng.normal(scale=0.06, size=(len(place), 3)))
    return np.asarray(palettes[kind, shade] * brightness * tint, dtype=np.float32)


def _shade(
    rng: np.random.Generator,
    index: NDArray[np.intp],
    leaves: Leaves,
    textures: tuple[Image, Image],
    light: NDArray[np.float32],
) -> Image:
    """Every pixel's colour as part of the leaf ``index``: bulging under ``light``, textured."""
    side, count = len(index), len(leaves.radius)
    axis = np.arange(side, dtype=np.float32)
    dx = (axis[None, :] - leaves.centre[:, 0][index]) / leaves.radius[index]
    dy = (axis[:, None] - leaves.centre[:, 1][index]) / leaves.radius[index]
    bulge = np.float32(rng.uniform(0.05, 0.3))
    shade = 1 + bulge * (2 * (dx * light[0] + dy * light[1]) - (dx * dx + dy * dy) / 2)
    strength = rng.gamma(2.0, [[0.05], [0.06]], size=(2, count)).astype(np.float32)
    texture = np.exp(strength[0][index] * textures[0] + strength[1][index] * textures[1])
    row, column = np.clip(leaves.centre[:, ::-1].astype(int), 0, side - 1).T
    colours = _colours(rng, _smooth_noise(rng, side, exponent=2.0)[row, column] > rng.normal())
    return np.asarray(colours[index] * (np.clip(shade, 0.1, 3) * texture)[..., None], dtype=np.float32)


def _shadows(depth: Image, light: NDArray[np.float32]) -> Image:
    """Attenuation 0.35 to 1: what lies in front and towards the light darkens what is behind.

    ``depth`` grows from 0 (background) to 1 (front).
    """
    side = len(depth)
    shift = -light * SHADOW_OFFSET * side
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    moved = cv2.warpAffine(depth, matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    blurred = cv2.GaussianBlur(moved, (0, 0), SHADOW_OFFSET * side)
    return np.asarray(1 - np.clip(1.6 * (blurred - depth), 0, 0.65), dtype=np.float32)


def _defocus(rng: np.random.Generator, radiance: Image, depth: Image) -> Image:
    """Blur what lies behind a random depth."""
    side = len(depth)
    behind = (depth < rng.uniform(0.3, 0.8)).astype(np.float32)
    weight = cv2.GaussianBlur(behind, (0, 0), 0.006 * side)[..., None]
    blurred = cv2.GaussianBlur(radiance, (0, 0), float(rng.uniform(0.005, 0.015)) * side)
    return np.asarray(radiance + weight * (blurred - radiance), dtype=np.float32)


def _backdrop(
    rng: np.random.Generator, side: int, horizon: float, textures: tuple[Image, Image]
) -> tuple[Image, NDArray[np.bool_]]:
    """Sky with clouds above ridges that fade with distance; and the mask of what is ground."""
    n_ridges = int(rng.integers(1, 4))
    haze = np.array([0.75, 0.78, 0.82]) * np.exp(rng.normal(scale=[0.15, 0.08, 0.12]))
    sky = _sky(rng, side, horizon, haze)
    layer = np.zeros((side, side), np.intp)  # 0 is sky, n_ridges the nearest ridge
    for ridge in range(1, n_ridges + 1):
        relief = power_law_noise(rng, (side,), exponent=1.1) * rng.uniform(0.01, 0.08) * side
        edge = horizon - (n_ridges - ridge) * 0.04 * side + relief
        layer[np.arange(side)[:, None] > edge[None, :]] = ridge
    nearness = np.arange(n_ridges + 1) / n_ridges
    matter = _colours(rng, np.zeros(n_ridges + 1, bool))
    colours = (matter * nearness[:, None] + 0.7 * haze * (1 - nearness[:, None])).astype(np.float32)
    texture = np.exp((0.25 * nearness).astype(np.float32)[layer] * (textures[0] + textures[1]))
    ground = layer > 0
    return np.where(ground[..., None], colours[layer] * texture[..., None], sky), ground


def _sky(rng: np.random.Generator, side: int, horizon: float, haze: NDArray[np.float64]) -> Image:
    """From the zenith's blue to ``haze`` at the horizon, behind clouds."""
    zenith = np.array([0.20, 0.36, 0.72]) * rng.uniform(0.7, 1.2)
    lowness = np.minimum(np.arange(side) / max(horizon, 1), 1)[:, None] ** rng.uniform(0.6, 1.6)
    clear = (zenith * (1 - lowness) + haze * lowness).astype(np.float32)[:, None, :]
    cover = _smooth_noise(rng, side, exponent=1.7) * np.float32(rng.uniform(0.1, 0.5))
    cover = np.clip(cover + np.float32(rng.uniform(-0.3, 0.4)), 0, 0.9)[..., None]
    return np.asarray(clear + cover * (CLOUD - clear), dtype=np.float32)
