r"""The no-U-turn sampler: Hamiltonian trajectories along the solver's own gradient, by blackjax.

Step size and diagonal mass matrix of every chain are adapted in a warm-up (Hoffman and Gelman 2014, J. Mach. Learn.
Res. 15, 1593). Chains begin in the prior. They follow one mode of a posterior and seldom change to another.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.inference.inverse_problem import InverseProblem, PosteriorSample

GRADIENT_CALLS = 3.0
"""Solver calls that a gradient counts as."""
MOST_DOUBLINGS = 6
"""Doublings of a trajectory: at most 2^6 steps of the integrator for one step of the chain."""


def nuts(
    problem: InverseProblem,
    observed: Float[np.ndarray, "cases m"],
    members: int,
    key: Array,
    *,
    warmup: int,
    thin: int,
    chains: int = 8,
) -> PosteriorSample:
    """Draw an ensemble for every case from a few chains.

    Args:
        problem: prior, simulation and noise; its simulation must have a gradient.
        observed: of every case.
        members: of every ensemble; a multiple of ``chains``.
        key: random key.
        warmup: steps of every chain that adapt it and are left out.
        thin: steps from one member to the next.
        chains: of every case.

    Raises:
        ValueError: no steps, or members that are no multiple of the chains.
    """
    if warmup < 1 or thin < 1:
        raise ValueError(f"warmup and thin must be at least 1, not {warmup} and {thin}.")
    if chains < 1 or members % chains:
        raise ValueError(f"members must be a multiple of the {chains} chains, not {members}.")
    start_key, key = jax.random.split(key)
    start = jax.random.normal(start_key, (len(observed), chains, problem.dimension))
    keys = jax.random.split(key, (len(observed), chains))
    run = _program(problem, warmup, thin, members // chains)
    found, gradients = run(keys, start, jnp.asarray(observed, jnp.float32))
    theta = jnp.reshape(found, (len(observed), members, problem.dimension))
    return PosteriorSample(theta, GRADIENT_CALLS * float(gradients.sum()) / (len(observed) * members))


@lru_cache(maxsize=16)
def _program(problem: InverseProblem, warmup: int, thin: int, kept: int) -> Any:
    import blackjax

    def chain(key: Array, start: Array, observed: Array) -> tuple[Array, Array]:
        def log_density(theta: Array) -> Array:
            return problem.log_likelihood(theta, observed) - 0.5 * jnp.sum(theta**2)

        warm_key, key = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density, max_num_doublings=MOST_DOUBLINGS)
        (state, parameters), warmed = adaptation.run(warm_key, start, num_steps=warmup)
        kernel = blackjax.nuts(log_density, **parameters)

        def step(state: Any, key: Array) -> tuple[Any, tuple[Array, Array]]:
            state, info = kernel.step(key, state)
            return state, (state.position, info.num_integration_steps)

        _, (positions, steps) = jax.lax.scan(step, state, jax.random.split(key, kept * thin))
        return positions[thin - 1 :: thin], steps.sum() + warmed.info.num_integration_steps.sum()

    # Chains within cases.
    return jax.jit(jax.vmap(jax.vmap(chain, in_axes=(0, 0, None))))
