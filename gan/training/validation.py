"""The validation metric, a cheap distance of samples to held-out fields that picks the best checkpoint, and variety."""

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


VARIETY_SAMPLES = 512
NEIGHBOURS = 5


def effective_rank(rows: np.ndarray) -> float:
    """Return the exponential of the entropy of the shares of variance along the principal axes (Roy and Vetterli 2007).

    Their effective rank of the covariance matrix, whose singular values are the variances. It is d for d equally strong
    directions and 1 for a line; never more than the count of rows less one.

    Args:
        rows: (n, numbers).
    """
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    gram = centred @ centred.T if len(rows) <= rows.shape[1] else centred.T @ centred
    shares = np.maximum(np.linalg.eigvalsh(gram), 0.0)
    if not shares.sum() > 0:
        return 0.0
    shares = shares[shares > 1e-12 * shares.max()] / shares.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def neighbourhood_coverage(samples: np.ndarray, fields: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of fields with a sample nearer than their k-th other field (Naeem et al. 2020).

    Args:
        samples: (n, numbers).
        fields: (m, numbers), m > k.
        neighbours: k.
    """

    def squares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)[None, :] - 2.0 * first @ second.T

    samples, fields = np.asarray(samples, np.float64), np.asarray(fields, np.float64)
    among = squares(fields, fields)
    np.fill_diagonal(among, np.inf)
    radius = np.partition(among, neighbours - 1, axis=1)[:, neighbours - 1]
    return float(np.mean(squares(fields, samples).min(axis=1) <= radius))


def variety(samples: np.ndarray, fields: np.ndarray, normalizer: Normalizer) -> dict[str, float]:
    """Return effective rank and coverage of at most 512 samples beside as many held-out fields, normalised."""
    count = min(len(samples), len(fields), VARIETY_SAMPLES)
    if count <= NEIGHBOURS:
        return {}
    drawn, held = (np.asarray(normalizer.normalize(x[:count])).reshape(count, -1) for x in (samples, fields))
    return {
        "effective_rank": effective_rank(drawn),
        "effective_rank_held_out": effective_rank(held),
        "coverage": neighbourhood_coverage(drawn, held),
    }
