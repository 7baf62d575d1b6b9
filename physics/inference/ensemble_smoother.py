"""Ensemble smoother with multiple data assimilation: Kalman updates by the ensemble's own covariances.

With iterations n every update takes the observations with their noise variance multiplied by n (Emerick and Reynolds
2013, Comput. Geosci. 55, 3). Exact in the limit of many members where simulation and observation are linear; where the
posterior is not Gaussian it stays an approximation however many members there are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.inference.inverse_problem import InverseProblem, PosteriorSample


def ensemble_smoother(
    problem: InverseProblem, observed: Float[np.ndarray, "cases m"], members: int, key: Array, *, iterations: int
) -> PosteriorSample:
    """Draw an ensemble for every case.

    Args:
        problem: prior, simulation and noise.
        observed: of every case.
        members: of every ensemble; several times as many as there are observations.
        key: random key.
        iterations: updates; each costs one solver call for a member.

    Raises:
        ValueError: no iterations.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, not {iterations}.")
    start_key, key = jax.random.split(key)
    theta = jax.random.normal(start_key, (len(observed), members, problem.dimension))
    for one in jax.random.split(key, iterations):
        theta = _program(problem)(theta, jnp.asarray(observed, jnp.float32), one, float(iterations))
    return PosteriorSample(theta, float(iterations))


@lru_cache(maxsize=16)
def _program(problem: InverseProblem) -> Any:
    def update(theta: Array, observed: Array, key: Array, inflation: Array) -> Array:
        members, variance = len(theta), inflation * problem.noise**2
        predicted = jax.vmap(problem.predict)(theta)
        # A member whose simulation fails takes part as the mean of the others.
        finite = jnp.isfinite(predicted).all(axis=1, keepdims=True)
        mean = jnp.sum(jnp.where(finite, predicted, 0.0), axis=0) / jnp.maximum(finite.sum(), 1)
        predicted = jnp.where(finite, predicted, mean)
        away, spread = predicted - predicted.mean(axis=0), theta - theta.mean(axis=0)
        covariance = away.T @ away / (members - 1) + variance * jnp.eye(predicted.shape[1])
        cross = spread.T @ away / (members - 1)
        perturbed = observed + jnp.sqrt(variance) * jax.random.normal(key, predicted.shape)
        return theta + (perturbed - predicted) @ jnp.linalg.solve(covariance, cross.T)

    @jax.jit
    def run(theta: Array, observed: Array, key: Array, inflation: Array) -> Array:
        keys = jax.random.split(key, len(theta))
        return jax.vmap(update, in_axes=(0, 0, 0, None))(theta, observed, keys, inflation)

    return run
