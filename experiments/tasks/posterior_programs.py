"""Compiled programs of a posterior: the inverse problem, trajectories of unknowns, and the density up to a constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from experiments.config import ExperimentConfig

if TYPE_CHECKING:
    from jax import Array

    from experiments.tasks.posterior import Posterior
    from gan.training.problem import Stream
    from physics.inference.inverse_problem import InverseProblem

CHUNK = 256
"""Fields or trajectories that are solved at once: so few stay in a processor's cache."""
_STREAMED = 6
"""The random stream of training samples that are made when they are needed."""


@lru_cache(maxsize=16)
def inverse_problem(
    task: Posterior, config: ExperimentConfig, times: tuple[float, ...], coarsening: int, order: int
) -> InverseProblem:
    """Keep problems between calls, and with them their compiled programs."""
    from diffrax import Heun

    from physics import ETDRK2, ETDRK4, InverseProblem, SemilinearSystem, solve

    own, whitening = task.own_settings(config), task.whitening(config)
    exponential = isinstance(task.system_of(config), SemilinearSystem)
    # Without a stiff linear part the data were made by the system's own explicit method, of order 4 or higher.
    solver = {2: ETDRK2(), 4: ETDRK4()}[order] if exponential else {2: Heun(), 4: None}[order]
    observed = np.asarray(times)[np.array(own.times)]

    def simulate(unknowns: Array) -> Array:
        system = task.system_of(config, whitening.value(unknowns))
        # Nothing after the last observation says anything of the unknowns.
        return solve(system, whitening.field(unknowns), observed, dt=coarsening * config.data.dt, solver=solver)

    last = replace(config, system=replace(own, times=tuple(range(len(observed)))))
    return InverseProblem(whitening.dimension, simulate, partial(task.seen, last), own.noise)


@lru_cache(maxsize=16)
def _solver(task: Posterior, config: ExperimentConfig, times: tuple[float, ...]) -> Callable[[np.ndarray], Array]:
    import jax
    import jax.numpy as jnp

    from physics import solve

    whitening = task.whitening(config)

    def one(unknowns: Array) -> Array:
        start = whitening.field(unknowns)
        system = task.system_of(config, whitening.value(unknowns))
        return jnp.concatenate([start[None], solve(system, start, np.asarray(times), dt=config.data.dt)])

    return jax.jit(jax.vmap(one))


def trajectories(
    task: Posterior, config: ExperimentConfig, times: tuple[float, ...], unknowns: np.ndarray
) -> np.ndarray:
    """Return (..., time, size, 1) of unknowns (..., d): the initial fields, then those of the times."""
    return in_chunks(_solver(task, config, times), unknowns)


def in_chunks(run: Callable[[np.ndarray], Array], unknowns: np.ndarray) -> np.ndarray:
    """Solve for unknowns (..., d) in chunks of one size, so that one program serves every count."""
    rows, out = unknowns.reshape(-1, unknowns.shape[-1]), []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        padded = np.concatenate([part, np.repeat(part[-1:], CHUNK - len(part), axis=0)])
        out.append(np.asarray(run(padded))[: len(part)])
    fields = np.concatenate(out)
    return fields.reshape(*unknowns.shape[:-1], *fields.shape[1:])


def streamed(problem: InverseProblem, seed: int) -> Stream:
    """Return the function that makes unknowns of the prior and their observations.

    Args:
        problem: with the solver that made the data.
        seed: of the data; together with that of the training and a sample's number it says which sample it is.
    """
    import jax
    import jax.numpy as jnp

    def one(key: Array) -> tuple[Array, dict[str, Array]]:
        drawing, missing = jax.random.split(key)
        unknowns = jax.random.normal(drawing, (problem.dimension,))
        seen = problem.predict(unknowns)
        return unknowns, {"observed": seen + problem.noise * jax.random.normal(missing, seen.shape)}

    @jax.jit
    def many(training: Array, numbers: Array) -> tuple[Array, dict[str, Array]]:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STREAMED), training)
        return jax.lax.map(lambda number: one(jax.random.fold_in(key, number)), numbers, batch_size=CHUNK)

    return lambda training, numbers: many(jnp.uint32(training), jnp.asarray(numbers))


@lru_cache(maxsize=16)
def _posterior_density(problem: InverseProblem) -> Callable[[np.ndarray, np.ndarray], Array]:
    import jax
    import jax.numpy as jnp

    def one(theta: Array, seen: Array) -> Array:
        return problem.log_likelihood(theta, seen) - 0.5 * jnp.sum(theta**2)

    return jax.jit(jax.vmap(one))


def log_posterior(problem: InverseProblem, unknowns: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the logarithm (n,) of the posterior's density up to a constant, in chunks of one size."""
    run, starts = _posterior_density(problem), range(0, len(unknowns), CHUNK)
    index = [np.minimum(np.arange(start, start + CHUNK), len(unknowns) - 1) for start in starts]
    return np.concatenate([np.asarray(run(unknowns[one], observed[one])) for one in index])[: len(unknowns)]
