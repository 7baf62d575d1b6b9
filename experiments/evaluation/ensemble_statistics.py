"""What distances and scores of ensembles are made of, case by case, so that any choice of cases is a mean of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from experiments.evaluation.scores import coverage, rank_flatness, rank_histogram

LEAST_COVERED = 19
"""Members without which there is no central interval of 90%."""


@jax.jit
def pairwise_distances(x: Float[Array, "cases m values"], y: Float[Array, "cases k values"]) -> tuple[Array, Array]:
    """Mean absolute and root mean square differences of all rows of x and y, case by case: (cases, m, k)."""

    def one(case: tuple[Array, Array]) -> tuple[Array, Array]:
        gap = case[0][:, None] - case[1][None]
        return jnp.abs(gap).mean(axis=-1), jnp.sqrt((gap**2).mean(axis=-1))

    return jax.lax.map(one, (x, y))


@jax.jit
def calibration_parts(
    x: Float[Array, "members cases values"], y: Float[Array, "cases values"], keys: Key[Array, " cases"]
) -> dict[str, Array]:
    """Return what spread-skill, coverage and ranks are made of, case by case."""
    members = len(x)
    return {
        "variance": x.var(axis=0, ddof=1).mean(axis=-1) * (members + 1) / members,
        "error": ((x.mean(axis=0) - y) ** 2).mean(axis=-1),
        "ranks": jax.vmap(rank_histogram, in_axes=(1, 0, 0))(x, y, keys),
    }


def calibration(parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Spread-skill, flatness of the ranks and coverage over the cases in ``parts`` of `calibration_parts`."""
    ranks = parts["ranks"].sum(axis=0)
    found = {
        "spread_skill": float(np.sqrt(np.mean(parts["variance"]) / np.mean(parts["error"]))),
        "rank_flatness": float(_flatness(ranks)),
    }
    if len(ranks) > LEAST_COVERED:
        found["coverage_90"] = float(ranks @ _covered(len(ranks) - 1) / ranks.sum())
    return found


@cache
def _covered(members: int) -> np.ndarray:
    """How much a truth of every rank counts as covered: the rank alone decides whether it is in the interval."""
    places = np.arange(members, dtype=np.float32)
    return np.array([coverage(places, np.asarray(rank - 0.5, np.float32), 0.9) for rank in range(members + 1)])


@jax.jit
def _flatness(ranks: Array) -> Array:
    return rank_flatness(ranks)[0]


def energy_distance(cross: np.ndarray | float, one: np.ndarray | float, two: np.ndarray | float) -> np.ndarray | float:
    """Energy distance of two ensembles from mean distances between them, within the one and within the other."""
    return 2 * cross - one - two


def fair_score(to_truth: np.ndarray | float, pairs: np.ndarray | float, members: int) -> np.ndarray | float:
    """Fair score from the mean distance to the truth and the sum of distances over ordered pairs of members."""
    return to_truth - pairs / (2 * members * (members - 1))


def root(squared: np.ndarray | float) -> float:
    """Square root, 0 of what is negative by round-off."""
    return float(np.sqrt(np.maximum(squared, 0.0)))
