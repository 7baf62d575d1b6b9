r"""Tempered sequential Monte Carlo with differential-evolution moves: posteriors of several modes.

An ensemble drawn from the prior is led to the posterior through the densities prior * likelihood^beta, beta rising from
0 to 1 so that each step keeps half of the effective sample size; members are resampled systematically and then moved
(Del Moral, Doucet and Jasra 2006, J. R. Stat. Soc. B 68, 411). A move proposes for one half of the ensemble the
differences of two members of the other half (ter Braak 2006, Stat. Comput. 16, 239): steps have the ensemble's own
shape, and every tenth has the full length, by which members change between modes. Moves need no gradient.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.inference.inverse_problem import InverseProblem, PosteriorSample

JITTER = 1e-3
"""Standard deviation of what is added to every proposal, so that all unknowns can be reached."""
FULL = 0.1
"""Share of the moves with the full difference of two members."""
ACCEPTED = 0.25
"""Share of accepted moves to which the length of the steps is steered."""


def tempered_posterior(
    problem: InverseProblem,
    observed: Float[np.ndarray, "cases m"],
    members: int,
    key: Array,
    *,
    moves: int,
    last_moves: int | None = None,
) -> PosteriorSample:
    """Draw ensembles from the posterior of every case.

    Args:
        problem: prior, simulation and noise.
        observed: of every case.
        members: of every ensemble; an even number.
        key: random key.
        moves: at every temperature; one moves half of the members.
        last_moves: at the last temperature, that of the posterior; ``moves`` where left out.

    Returns:
        Ensembles; all cases go on until the last one has arrived.

    Raises:
        ValueError: fewer than 8 members, or an odd number of them.
    """
    if members < 8 or members % 2:
        raise ValueError(f"members must be an even number of at least 8, not {members}.")
    likelihood, move = _programs(problem)
    cases = len(observed)
    seen = jnp.asarray(observed, jnp.float32)
    start_key, key = jax.random.split(key)
    theta = jax.random.normal(start_key, (cases, members, problem.dimension))
    log_likelihood = np.asarray(likelihood(theta, seen))
    beta, scale, calls = np.zeros(cases), np.full(cases, 0.3), 1.0
    while (beta < 1).any():
        rise = np.array([_rise(one, 1 - at) for one, at in zip(log_likelihood, beta)])
        beta = np.minimum(beta + rise, 1.0)
        key, resample_key, move_key = jax.random.split(key, 3)
        offset = np.asarray(jax.random.uniform(resample_key, (cases,)), float)
        chosen = np.stack([_systematic(r * one, u) for r, one, u in zip(rise, log_likelihood, offset)])
        theta = jnp.take_along_axis(theta, chosen[..., None], axis=1)
        log_likelihood = np.take_along_axis(log_likelihood, chosen, axis=1)
        count = last_moves if last_moves is not None and (beta >= 1).all() else moves
        theta, found, accepted = move(
            theta, jnp.asarray(log_likelihood), seen, jnp.asarray(beta), jnp.asarray(scale), move_key, count
        )
        log_likelihood, calls = np.asarray(found), calls + 0.5 * count
        scale = np.clip(scale * np.exp(np.asarray(accepted) - ACCEPTED), 0.05, 1.0)
    return PosteriorSample(theta, calls)


def _rise(log_likelihood: np.ndarray, most: float) -> float:
    """Return the rise of beta that leaves half of the effective sample size, at most ``most``."""

    def effective(rise: float) -> float:
        weights = np.exp(rise * (log_likelihood - log_likelihood.max()))
        return float(weights.sum() ** 2 / (weights**2).sum())

    half = 0.5 * len(log_likelihood)
    if most <= 0 or effective(most) > half:
        return max(most, 0.0)
    low, high = 0.0, most
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) > half else (low, middle)
    return high


def _systematic(log_weights: np.ndarray, offset: float) -> np.ndarray:
    """Return the members that systematic resampling keeps."""
    weights = np.exp(log_weights - log_weights.max())
    places = (np.arange(len(weights)) + offset) / len(weights)
    return np.searchsorted(np.cumsum(weights) / weights.sum(), places).clip(0, len(weights) - 1)


@lru_cache(maxsize=16)
def _programs(problem: InverseProblem) -> tuple[Any, Any]:
    """Compile the likelihood of ensembles, and their moves, once for a problem."""
    many = jax.vmap(jax.vmap(problem.log_likelihood, in_axes=(0, None)))

    def one_move(state: Any, key: Array, observed: Array, beta: Array, scale: Array) -> tuple[Any, Array]:
        theta, log_likelihood = state
        cases, members, _ = theta.shape
        half = members // 2
        keys = jax.random.split(key, 6)
        order = jax.vmap(lambda k: jax.random.permutation(k, members))(jax.random.split(keys[0], cases))
        theta = jnp.take_along_axis(theta, order[..., None], axis=1)
        log_likelihood = jnp.take_along_axis(log_likelihood, order, axis=1)
        moved, others, before = theta[:, :half], theta[:, half:], log_likelihood[:, :half]
        first = jax.random.randint(keys[1], (cases, half, 1), 0, half)
        second = (first + jax.random.randint(keys[2], (cases, half, 1), 1, half)) % half
        difference = jnp.take_along_axis(others, first, axis=1) - jnp.take_along_axis(others, second, axis=1)
        full_key, length_key, jitter_key, accept_key = jax.random.split(keys[3], 4)
        length = scale[:, None, None] * jnp.exp(0.5 * jax.random.normal(length_key, (cases, half, 1)))
        length = jnp.where(jax.random.uniform(full_key, (cases, half, 1)) < FULL, 1.0, length)
        proposed = moved + length * difference + JITTER * jax.random.normal(jitter_key, moved.shape)
        after = many(proposed, observed)
        gain = beta[:, None] * (after - before) - 0.5 * jnp.sum(proposed**2 - moved**2, axis=-1)
        accepted = jnp.log(jax.random.uniform(accept_key, (cases, half))) < gain
        theta = theta.at[:, :half].set(jnp.where(accepted[..., None], proposed, moved))
        log_likelihood = log_likelihood.at[:, :half].set(jnp.where(accepted, after, before))
        return (theta, log_likelihood), accepted.mean(axis=1)

    @jax.jit
    def move(
        theta: Array, found: Array, observed: Array, beta: Array, scale: Array, key: Array, count: Array
    ) -> tuple[Array, Array, Array]:
        def one(index: Array, state: Any) -> Any:
            ensembles, accepted = state
            ensembles, share = one_move(ensembles, jax.random.fold_in(key, index), observed, beta, scale)
            return ensembles, accepted + share / count

        # The count is an argument, so that one program serves every number of moves.
        (theta, found), accepted = jax.lax.fori_loop(0, count, one, ((theta, found), jnp.zeros(len(theta))))
        return theta, found, accepted

    return jax.jit(many), move
