"""Preconditioned Crank-Nicolson: the random walk that the prior leaves alone.

The proposal sqrt(1 - s^2) theta + s xi, xi ~ N(0, I), keeps the prior, so that the likelihoods alone decide (Cotter,
Roberts, Stuart and White 2013, Stat. Sci. 28, 424). Every member is a chain of its own from the prior.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.inference.inverse_problem import InverseProblem, PosteriorSample

ACCEPTED = 0.3
"""Share of accepted steps to which the size of the steps is steered, case by case, in the first half of the chain."""


def crank_nicolson(
    problem: InverseProblem, observed: Float[np.ndarray, "cases m"], members: int, key: Array, *, steps: int
) -> PosteriorSample:
    """Draw an ensemble for every case: the last states of ``members`` chains of ``steps`` steps each.

    Args:
        problem: prior, simulation and noise.
        observed: of every case.
        members: chains of every case.
        key: random key.
        steps: of every chain; one costs one solver call.

    Raises:
        ValueError: no steps.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}.")
    start_key, key = jax.random.split(key)
    theta = jax.random.normal(start_key, (len(observed), members, problem.dimension))
    last = _program(problem)(theta, jnp.asarray(observed, jnp.float32), key, steps)
    return PosteriorSample(last, steps + 1.0)


@lru_cache(maxsize=16)
def _program(problem: InverseProblem) -> Any:
    many = jax.vmap(jax.vmap(problem.log_likelihood, in_axes=(0, None)))

    @jax.jit
    def run(theta: Array, observed: Array, key: Array, steps: Array) -> Array:
        def step(index: Array, state: Any) -> Any:
            theta, found, size = state
            walk_key, accept_key = jax.random.split(jax.random.fold_in(key, index))
            s = size[:, None, None]
            proposed = jnp.sqrt(1 - s**2) * theta + s * jax.random.normal(walk_key, theta.shape)
            after = many(proposed, observed)
            accepted = jnp.log(jax.random.uniform(accept_key, found.shape)) < after - found
            theta = jnp.where(accepted[..., None], proposed, theta)
            steered = jnp.clip(size * jnp.exp(0.3 * (accepted.mean(axis=1) - ACCEPTED)), 0.01, 1.0)
            size = jnp.where(index < steps // 2, steered, size)
            return theta, jnp.where(accepted, after, found), size

        state = (theta, many(theta, observed), jnp.full(len(theta), 0.5))
        # The steps are an argument, so that one program serves every length.
        last: Array = jax.lax.fori_loop(0, steps, step, state)[0]
        return last

    return run
