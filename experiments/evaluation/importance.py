"""Importance weights: proposals of known density turned into draws of a posterior.

With the weights w_i = p(x_i) / q(x_i) of draws x_i from q, weighted averages tend to those under p as draws are added
(Robert and Casella 2004, Monte Carlo Statistical Methods, section 3.3). The effective sample size
(sum w)^2 / sum w^2 (Kong 1992) says how many draws of p they are worth.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def normalized_weights(
    log_target: Float[np.ndarray, "*cases n"], log_proposal: Float[np.ndarray, "*cases n"]
) -> Float[np.ndarray, "*cases n"]:
    """Return the weights of the draws of each case, whose sum is 1; 0 where a density is not known.

    All weights of a case are 0 where no draw of it has a known density, or all are impossible.

    Args:
        log_target: logarithms of the posterior's density up to a constant for each case.
        log_proposal: of the density from which the draws are.
    """
    log_weight = np.asarray(log_target, np.float64) - np.asarray(log_proposal, np.float64)
    log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
    top = log_weight.max(axis=-1, keepdims=True)
    weights = np.exp(log_weight - np.where(np.isfinite(top), top, 0.0))
    return np.asarray(weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1.0))


def effective_share(weights: Float[np.ndarray, "*cases n"]) -> Float[np.ndarray, "*cases"]:
    """Return the effective sample size of normalised weights over the number of draws: 1/n to 1, or 0 without any.

    Example:
        >>> effective_share(np.full(8, 0.125))
        np.float64(1.0)
    """
    squares = (weights**2).sum(axis=-1)
    return np.asarray(np.where(squares > 0, 1 / np.where(squares > 0, squares, 1.0), 0.0) / weights.shape[-1])[()]


def resampled(
    draws: Float[np.ndarray, "cases n d"], weights: Float[np.ndarray, "cases n"], members: int, seed: int
) -> Float[np.ndarray, "cases members d"]:
    """Return draws taken by systematic resampling: each as often as its weight asks for, to less than one.

    Draws of a case without any weight are taken alike.
    """
    rng = np.random.default_rng(seed)
    places = (rng.random((len(draws), 1)) + np.arange(members)) / members
    ends = np.cumsum(np.where(weights.any(axis=-1, keepdims=True), weights, 1 / weights.shape[-1]), axis=-1)
    chosen = np.stack([np.searchsorted(end, place * end[-1]) for end, place in zip(ends, places)])
    return np.take_along_axis(draws, chosen.clip(0, draws.shape[1] - 1)[..., None], axis=1)
