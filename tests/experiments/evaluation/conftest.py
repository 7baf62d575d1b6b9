"""A distribution that is cheap to draw from and far from Gaussian, and its tests."""

from types import SimpleNamespace

import numpy as np
import pytest

from gan.augmentation import ArrayReflection, ArraySymmetries

POINTS = 32


def skewed(rng, count):
    """Fields ``(count, 32, 1)``, a Gaussian field and its square, the same everywhere and in both directions."""
    k = np.fft.rfftfreq(POINTS, 1 / POINTS)
    noise = np.fft.rfft(rng.standard_normal((count, POINTS)), axis=1) * np.exp(-((k / 4) ** 2))
    gaussian = np.fft.irfft(noise, n=POINTS, axis=1)
    gaussian /= np.sqrt(2 * np.mean(np.exp(-2 * (np.fft.fftfreq(POINTS, 1 / POINTS) / 4) ** 2)) / 2)
    return (gaussian + 0.3 * (gaussian**2 - 1))[..., None].astype(np.float32)


@pytest.fixture(scope="session")
def distribution():
    """The distribution: ``draw(rng, count)``, its grid and its symmetries."""
    return SimpleNamespace(
        draw=skewed, points=POINTS, extent=(2 * np.pi,), symmetries=ArraySymmetries((0,), (ArrayReflection(0, (1.0,)),))
    )
