"""Azimuthal power spectrum and logistic regression (Durall, Keuper, Keuper, CVPR 2020, arXiv 2003.01826).

Up-convolutions bend the high end of a generated image's spectrum; the one-dimensional profile
shows it and a linear classifier separates it. Known to be fragile: a changed last up-sampling
layer defeats it.
"""

from pathlib import Path

import numpy as np
from tidemark_kit import Detector, KitError, progress, run
from tidemark_kit.variants import N_VARIANTS, variant

N_FREQUENCIES = 64
# Inverse strength of the penalty; the features are standardised.
C = 1.0


def spectrum(image):
    """The azimuthal mean of the log magnitude of a PIL image: float64 [N_FREQUENCIES].

    Radii are a fraction of the shorter side's Nyquist frequency, so images of all sizes compare.
    Divided by the first value (the mean brightness) as in the paper.
    """
    grey = np.asarray(image.convert("L"), np.float64)
    height, width = grey.shape
    magnitude = np.log1p(np.abs(np.fft.rfft2(grey)))
    y = np.fft.fftfreq(height)[:, None] * min(height, width)
    x = np.fft.rfftfreq(width)[None, :] * min(height, width)
    radius = np.rint(np.hypot(y, x)).astype(int).ravel()
    profile = np.bincount(radius, magnitude.ravel()) / np.maximum(np.bincount(radius), 1)
    nyquist = min(height, width) // 2
    profile = profile[: nyquist + 1]
    resampled = np.interp(np.linspace(0, nyquist, N_FREQUENCIES), np.arange(profile.size), profile)
    # A black image has no brightness to divide by.
    return resampled / max(resampled[0], 1.0)


class DurallSpectrum(Detector):
    # Mean and deviation are those of the first window: the weights carried on refer to them.
    weights = mean = deviation = None

    def train(self, window):
        # Needed for training alone, and it takes longer to import than all the rest.
        from sklearn.linear_model import LogisticRegression

        features, labels = [], []
        for position, index in enumerate(np.random.permutation(len(window))):
            if window.remaining_s == 0 and len(set(labels)) == 2:
                print(f"Out of time: learning from {position} of {len(window)} images.", flush=True)
                break
            sample = window[int(index)]
            features += [spectrum(variant(sample.image, n)) for n in range(N_VARIANTS)]
            labels += [sample.label] * N_VARIANTS
            progress((position + 1) / (len(window) + 1))
        if len(set(labels)) < 2:
            raise KitError("The training set must hold real and generated images.")
        features = np.array(features)
        if self.weights is None:
            self.mean, self.deviation = features.mean(0), features.std(0) + 1e-9
            self.weights = np.zeros(N_FREQUENCIES + 1)
        model = LogisticRegression(C=C, max_iter=1000, warm_start=True)
        model.classes_ = np.array([0, 1])
        model.coef_, model.intercept_ = self.weights[None, :-1], self.weights[-1:]
        model.fit((features - self.mean) / self.deviation, labels)
        self.weights = np.append(model.coef_, model.intercept_)

    def predict(self, images):
        for sample in images:
            feature = (spectrum(sample.image) - self.mean) / self.deviation
            logit = feature @ self.weights[:-1] + self.weights[-1]
            # Written for either sign, so that no exponential overflows.
            yield 1 / (1 + np.exp(-logit)) if logit > 0 else 1 - 1 / (1 + np.exp(logit))

    def save(self, state):
        np.savez(state / "model.npz", weights=self.weights, mean=self.mean, deviation=self.deviation)

    def load(self, state: Path):
        with np.load(state / "model.npz") as saved:
            self.weights, self.mean, self.deviation = saved["weights"], saved["mean"], saved["deviation"]


if __name__ == "__main__":
    run(DurallSpectrum)
