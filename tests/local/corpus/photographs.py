"""Simulated photographs and spectra that several test modules measure."""

from __future__ import annotations

import functools

import numpy as np

from local.corpus.camera import CAMERAS, SCENE_SCALE, photograph
from local.corpus.scene import render

SIDE = 96
COUNT = 24
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@functools.cache
def photographs() -> np.ndarray:
    """24×96×96×3 in [0, 1], the cameras in turn."""
    images = []
    for index in range(COUNT):
        rng = np.random.default_rng([2024, index])
        images.append(photograph(render(rng, SCENE_SCALE * SIDE), CAMERAS[index % len(CAMERAS)], rng))
    return np.array(images)


def luma(images: np.ndarray) -> np.ndarray:
    return images @ LUMA


def amplitude(images: np.ndarray) -> np.ndarray:
    """N×side×side: amplitude spectra of luma, mean removed, Hann window; (0, 0) is frequency 0."""
    grey = luma(images)
    window = np.hanning(grey.shape[-1])
    return np.abs(np.fft.fft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * np.outer(window, window)))


def radius(side: int) -> np.ndarray:
    """Radial frequency in cycles per pixel of every coefficient of ``amplitude``."""
    return np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))


def band(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """N: root mean power between two radial frequencies in cycles per pixel."""
    frequency = radius(images.shape[1])
    return np.sqrt((amplitude(images)[:, (frequency >= low) & (frequency < high)] ** 2).mean(axis=1))
