"""The validation metric: a cheap distance of samples to held-out fields; it picks the best checkpoint."""

from __future__ import annotations

import numpy as np

from gan.normalizer import Normalizer


def sliced_wasserstein(first: np.ndarray, second: np.ndarray, directions: int = 64, seed: int = 0) -> float:
    """Return the sliced Wasserstein-1 distance of two sets of equal size.

    Mean over random unit directions of the mean absolute difference of sorted projections (Bonneel et al.
    2015).

    Args:
        first: (n, *shape).
        second: (n, *shape).
        directions: random projections.
        seed: of the projections; the same seed makes values comparable.

    Raises:
        ValueError: the sets differ in size.
    """
    if first.shape != second.shape:
        raise ValueError(f"Sliced Wasserstein needs two sets of one shape, got {first.shape} and {second.shape}.")
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (first, second))
    rng = np.random.default_rng(seed)
    lines = rng.standard_normal((a.shape[1], directions))
    lines /= np.linalg.norm(lines, axis=0)
    return float(np.mean(np.abs(np.sort(a @ lines, axis=0) - np.sort(b @ lines, axis=0))))


def normalized_distance(samples: np.ndarray, fields: np.ndarray, normalizer: Normalizer) -> float:
    """Return the sliced Wasserstein distance of normalised fields, at the size of the smaller set."""
    count = min(len(samples), len(fields))
    return sliced_wasserstein(
        np.asarray(normalizer.normalize(samples[:count])), np.asarray(normalizer.normalize(fields[:count]))
    )
