"""Samples of a distribution whose modes are known: how many are found, how sharply, and with which weights.

A sample counts for one mode, its nearest centre or its class by a classifier, and is of *high quality* if it lies
within the mode: for a Gaussian mixture within three standard deviations of the centre, which 98.9% of exact samples
do in the plane (1 - exp(-9/2)). A mode is *found* if a sample of high quality belongs to it (Srivastava et al. 2017,
VEEGAN; Lin et al. 2018, PacGAN). The weights of the modes are compared over all samples:

    total variation  1/2 sum_k |q_k - p_k|          KL  sum_k q_k log(q_k / p_k)

with q_k the share of the samples and p_k the true weight (Metz et al. 2017, section 3.3.1, use this direction, finite
where modes are missing).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

WITHIN = 3.0
"""Standard deviations from the centre up to which a sample of a Gaussian mixture is of high quality."""


class Labels(NamedTuple):
    """The mode of every sample, and whether the sample is of high quality."""

    mode: Int[np.ndarray, " n"]
    high: Bool[np.ndarray, " n"]


def nearest_centre(
    points: Float[np.ndarray, "n c"], centres: Float[np.ndarray, "modes c"], std: float, within: float = WITHIN
) -> Labels:
    """Label points by their nearest centre; high quality is a distance of at most ``within`` times ``std``.

    Args:
        points: the samples.
        centres: of all modes.
        std: standard deviation of a mode along each axis, in the unit of the points.
        within: standard deviations up to which a point is of high quality.
    """
    distance, mode = cKDTree(centres).query(points)
    return Labels(np.asarray(mode, int), np.asarray(distance <= within * std))


def mode_scores(labels: Labels, weights: Float[np.ndarray, " modes"]) -> dict[str, float]:
    """Return ``modes_found``, ``high_quality``, ``total_variation`` and ``kl`` against the true weights.

    Args:
        labels: of the samples.
        weights: of all modes, positive, summing to 1.

    Raises:
        ValueError: no samples, or weights that are no distribution.
    """
    weights = np.asarray(weights, np.float64)
    if len(labels.mode) == 0:
        raise ValueError("Mode scores need at least one sample, got none.")
    if not (weights > 0).all() or abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(f"weights sum to {weights.sum():g}: give positive weights of all modes that sum to 1.")
    shares = np.bincount(labels.mode, minlength=len(weights)) / len(labels.mode)
    seen = shares > 0
    return {
        "modes_found": float(len(np.unique(labels.mode[labels.high]))),
        "high_quality": float(labels.high.mean()),
        "total_variation": float(0.5 * np.abs(shares - weights).sum()),
        "kl": float(np.sum(shares[seen] * np.log(shares[seen] / weights[seen]))),
    }
