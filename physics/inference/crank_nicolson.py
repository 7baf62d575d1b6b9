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
    last = _program(problem)(theta, jnp.asarray(observed, jnp.float32), jax.random.split(key, steps))
    return PosteriorSample(last, steps + 1.0)


@lru_cache(maxsize=16)
def _program(problem: InverseProblem) -> Any:
    many = jax.vmap(jax.vmap(problem.log_likelihood, in_axes=(0, None)))

    @jax.jit
    def begin(theta: Array, observed: Array) -> Any:
        return theta, many(theta, observed), jnp.full(len(theta), 0.5)

    @jax.jit
    def step(state: Any, observed: Array, key: Array, steering: Array) -> Any:
        theta, found, size = state
        walk_key, accept_key = jax.random.split(key)
        s = size[:, None, None]
        proposed = jnp.sqrt(1 - s**2) * theta + s * jax.random.normal(walk_key, theta.shape)
        after = many(proposed, observed)
        accepted = jnp.log(jax.random.uniform(accept_key, found.shape)) < after - found
        theta = jnp.where(accepted[..., None], proposed, theta)
        steered = jnp.clip(size * jnp.exp(0.3 * (accepted.mean(axis=1) - ACCEPTED)), 0.01, 1.0)
        return theta, jnp.where(accepted, after, found), jnp.where(steering, steered, size)

    def run(theta: Array, observed: Array, keys: Array) -> Array:
        # One compiled step serves every length; beside many solver calls the loop in Python costs nothing.
        state = begin(theta, observed)
        for index, key in enumerate(keys):
            state = step(state, observed, key, index < len(keys) // 2)
        return state[0]

    return run
