"""Scores of ensemble forecasts against what happened.

The members' axis comes first. All functions are JAX, work under ``jit``, ``vmap`` and ``grad`` (CRPS and
energy score may serve as penalties), and are non-dimensional or in the unit of the field, as said.

A *fair* score removes the penalty for a finite number of members: its expectation does not depend on that
number, so ensembles of different sizes compare (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917; Leutbecher
2019).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key


def crps(
    ensemble: Float[Array | np.ndarray, " members *event"],
    truth: Float[Array | np.ndarray, "*event"],
    *,
    fair: bool = True,
) -> Float[Array, "*event"]:
    """Continuous ranked probability score of each value, in the unit of the field; 0 is perfect, smaller is better.

    ``E|X - y| - E|X - X'| / 2`` (Gneiting and Raftery 2007, eq. 21) over the members. The second mean comes
    from the order statistics, ``sum_ij |x_i - x_j| = 2 sum_i (2 i - M - 1) x_(i)``, and is divided by ``M (M
    - 1)`` when fair, else ``M^2``.

    Args:
        ensemble: the members, along the first axis, in the unit of the field.
        truth: what happened, in the same unit.
        fair: whether the expectation is that of infinitely many members; else the score of the members as they are.

    Raises:
        ValueError: a fair score of fewer than two members.

    """
    x, y = jnp.asarray(ensemble), jnp.asarray(truth)
    members = _members(x, fair)
    weights = jnp.arange(1 - members, members, 2, dtype=x.dtype)
    spread = jnp.tensordot(weights, jnp.sort(x, axis=0), axes=1, precision="highest")
    return jnp.abs(x - y).mean(axis=0) - spread / (members * (members - 1 if fair else members))


def energy_score(
    ensemble: Float[Array | np.ndarray, "members *batch d"],
    truth: Float[Array | np.ndarray, "*batch d"],
    *,
    fair: bool = True,
) -> Float[Array, "*batch"]:
    """Energy score of vectors along the last axis, in the unit of the field times ``sqrt(d)``; smaller is better.

    ``E|X - y| - E|X - X'| / 2`` with Euclidean norms (Gneiting and Raftery 2007, eq. 22). Flatten whole
    fields into the last axis to score them jointly. The gradient at coinciding members is taken as zero.

    Args:
        ensemble: the members, along the first axis, vectors along the last, in the unit of the field.
        truth: what happened, in the same unit.
        fair: whether the expectation is that of infinitely many members; else the score of the members as they are.

    Raises:
        ValueError: a fair score of fewer than two members.

    """
    x, y = jnp.asarray(ensemble), jnp.asarray(truth)
    members = _members(x, fair)
    to_truth = _norm(x - y).mean(axis=0)
    apart = jax.lax.map(lambda one: _norm(x - one).sum(axis=0), x).sum(axis=0)
    return to_truth - apart / (2 * members * (members - 1 if fair else members))


def spread_skill_ratio(
    ensemble: Float[Array | np.ndarray, " members *event"], truth: Float[Array | np.ndarray, "*event"]
) -> Float[Array, ""]:
    """Spread over skill, 1 for a reliable ensemble of any size; below 1 it is too sure of itself. Non-dimensional.

    ``sqrt((M + 1) / M * mean unbiased variance) / sqrt(mean (ensemble mean - truth)^2)`` (Fortin et al. 2014),
    means over everything but the members.

    Args:
        ensemble: the members, along the first axis, in the unit of the field.
        truth: what happened, in the same unit.

    Raises:
        ValueError: fewer than two members.

    """
    x, y = jnp.asarray(ensemble), jnp.asarray(truth)
    members = _members(x, True)
    variance = x.var(axis=0, ddof=1).mean() * (members + 1) / members
    return jnp.sqrt(variance / ((x.mean(axis=0) - y) ** 2).mean())


def rank_histogram(
    ensemble: Float[Array | np.ndarray, " members *event"],
    truth: Float[Array | np.ndarray, "*event"],
    key: Key[Array, ""],
) -> Int[Array, " ranks"]:
    """How often the truth has each rank among the members, ``(members + 1,)`` counts; flat for a reliable ensemble.

    Hamill 2001, Mon. Weather Rev. 129, 550. Ties are broken at random.

    Args:
        ensemble: the members, along the first axis, in the unit of the field.
        truth: what happened, in the same unit.
        key: random key that breaks ties.
    """
    x, y = jnp.asarray(ensemble), jnp.asarray(truth)
    below, ties = (x < y).sum(axis=0), (x == y).sum(axis=0)
    ranks = below + jnp.floor(jax.random.uniform(key, y.shape) * (ties + 1)).astype(below.dtype)
    return jnp.bincount(ranks.ravel(), length=len(x) + 1)


def rank_flatness(
    counts: Float[Array | np.ndarray, " ranks"] | Int[Array | np.ndarray, " ranks"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Pearson's chi-square of a rank histogram per degree of freedom, and its p-value under flatness.

    About 1 for a flat histogram of *independent* cases; neighbouring points are not independent, and then the
    level of a reference ensemble, not the p-value, is what to compare with.
    """
    observed = jnp.asarray(counts, jnp.result_type(float))
    expected = observed.sum() / observed.size
    chi_square = ((observed - expected) ** 2 / expected).sum()
    freedom = observed.size - 1
    return chi_square / freedom, jax.scipy.special.gammaincc(freedom / 2, chi_square / 2)


def coverage(
    ensemble: Float[Array | np.ndarray, " members *event"],
    truth: Float[Array | np.ndarray, "*event"],
    level: float = 0.9,
) -> Float[Array, ""]:
    """Share of truths inside the central interval of the ensemble; ``level`` for a reliable ensemble.

    An exchangeable truth falls between the j-th smallest and the j-th largest of M members with probability
    ``1 - 2 j / (M + 1)``. Where ``level`` lies between two of these, the two shares are averaged with the
    weights that make the expectation ``level`` exactly, whatever M is.

    Args:
        ensemble: the members, along the first axis, in the unit of the field.
        truth: what happened, in the same unit.
        level: probability of the interval, in (0, 1).

    Raises:
        ValueError: too few members to have such an interval.

    """
    x, y = jnp.asarray(ensemble), jnp.asarray(truth)
    members = len(x)
    tail = (1 - level) / 2
    if not 0 < level < 1 or (members + 1) * tail < 1 - 1e-9:
        least = int(np.ceil(2 / max(1 - level, 1e-9) - 1e-9)) - 1
        raise ValueError(f"coverage at level={level} needs at least {least} members, not {members}.")
    ordered = jnp.sort(x, axis=0)
    position = (members + 1) * tail
    outer = min(max(int(np.floor(position + 1e-9)), 1), (members + 1) // 2)
    inner = min(outer + 1, (members + 1) // 2)

    def share(j: int) -> Array:
        return ((y >= ordered[j - 1]) & (y <= ordered[members - j])).mean()

    weight = min(max(position - outer, 0.0), 1.0)
    return (1 - weight) * share(outer) + weight * share(inner)


def _members(x: Array, fair: bool) -> int:
    if fair and len(x) < 2:
        raise ValueError(f"an ensemble of {len(x)} member has no spread; give at least 2.")
    return len(x)


def _norm(x: Array) -> Array:
    squared = (x**2).sum(axis=-1)
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
