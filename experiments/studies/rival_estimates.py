"""Estimates that need no game: maximum likelihood, approximate Bayesian computation, the middle of the range.

All return `Estimates` in units of half the width of each parameter's range, with central 90% intervals.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.optimize import least_squares
from scipy.stats import norm

from experiments.studies.population_models import UnlinkedSites

LEVEL = 0.9
REACH = 2.0
"""Estimates are looked for within this many half widths of the middle, as in the game."""
WIDTH = float(norm.ppf(0.5 + LEVEL / 2))
NEAREST = 0.02
"""Share of the simulations of ABC that are kept."""


class Estimates(NamedTuple):
    """Estimates of several data sets, each (sets, parameters)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def normal(cls, value: np.ndarray, spread: np.ndarray, width: float = WIDTH) -> Estimates:
        """Return intervals of ``width`` standard errors on either side."""
        return cls(value, value - width * spread, value + width * spread)


def of_the_prior(sets: int, parameters: int) -> Estimates:
    """Return the middle of the range and its central 90%, whatever was observed."""
    zero = np.zeros((sets, parameters))
    return Estimates(zero, zero - LEVEL, zero + LEVEL)


def maximum_likelihood(model: UnlinkedSites, data: Float[np.ndarray, "sets regions numbers"]) -> Estimates:
    """Maximise the likelihood of the counts with their exact means; standard errors by Fisher's information."""
    value, spread = (np.array(part) for part in zip(*(_fitted(model, np.asarray(one, float)) for one in data)))
    return Estimates.normal(value, spread)


def _fitted(model: UnlinkedSites, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    regions, totals = len(data), data.sum(axis=0)

    def deviance(z: np.ndarray) -> np.ndarray:
        """Signed roots of the deviance, whose squares add up to minus twice the logarithm of the likelihood."""
        mean = regions * model.expected(z)
        logs = totals * np.log(np.where(totals > 0, totals, 1.0) / mean)
        return np.sign(totals - mean) * np.sqrt(np.maximum(2 * (logs - totals + mean), 0.0))

    start = np.zeros(len(model.parameters))
    z = least_squares(deviance, start, bounds=(-REACH, REACH), x_scale=0.3, diff_step=np.full(len(start), 1e-5)).x
    step = 1e-4 * np.eye(len(z))
    slope = np.stack([(model.expected(z + one) - model.expected(z - one)) / 2e-4 for one in step], axis=1)
    information = regions * slope.T @ (slope / model.expected(z)[:, None])
    return z, np.sqrt(np.diag(np.linalg.pinv(information)))


def summaries(data: Any) -> Any:
    """Return means, and the roots of variances and covariances, of a data set's regions: (..., numbers) -> (..., k)."""
    mean = data.mean(axis=-2)
    centred = data - mean[..., None, :]
    covariance = jnp.einsum("...ri,...rj->...ij", centred, centred) / data.shape[-2]
    rows, columns = np.triu_indices(data.shape[-1])
    chosen = covariance[..., rows, columns]
    return jnp.concatenate([jnp.sqrt(mean), jnp.sign(chosen) * jnp.sqrt(jnp.abs(chosen))], axis=-1)


def bayesian_computation(
    model: UnlinkedSites, data: Float[np.ndarray, "sets regions numbers"], key: PRNGKeyArray, simulations: int
) -> Estimates:
    """Approximate Bayesian computation: semi-automatic summaries, the nearest simulations, and regression.

    Summaries are the linear predictions of the parameters from means and covariances of the counts and their squares
    (Fearnhead and Prangle, J. R. Stat. Soc. B 74, 2012). The nearest simulations are moved by a local linear
    regression (Beaumont, Zhang and Balding, Genetics 162, 2002). Parameters are uniform within their ranges.
    """
    parameters, regions = len(model.parameters), data.shape[1]
    z_key, key = jax.random.split(key)
    z = jax.random.uniform(z_key, (simulations, parameters), minval=-1.0, maxval=1.0)

    @jax.jit
    def simulated(z: Array, keys: Array) -> Array:
        return jax.lax.map(
            lambda given: summaries(model.simulate(given[0], given[1], regions)), (z, keys), batch_size=16
        )

    made = np.asarray(simulated(z, jax.random.split(key, simulations)), float)
    seen = np.asarray(summaries(jnp.asarray(data, jnp.float32)), float)
    mean, spread = made.mean(axis=0), made.std(axis=0) + 1e-9
    design, asked = (
        np.concatenate([one, one**2 - 1], axis=1) for one in ((made - mean) / spread, (seen - mean) / spread)
    )
    truth = np.asarray(z, float)
    ridge = 1e-3 * simulations * np.eye(design.shape[1])
    weights = np.linalg.solve(design.T @ design + ridge, design.T @ (truth - truth.mean(axis=0)))
    made, seen = design @ weights, asked @ weights
    scale = made.std(axis=0)
    kept = max(50, round(NEAREST * simulations))
    rows = []
    for one in seen:
        offset = (made - one) / scale
        distance = np.linalg.norm(offset, axis=1)
        near = np.argsort(distance)[:kept]
        weight = np.maximum(1 - (distance[near] / distance[near].max()) ** 2, 1e-9)
        local = np.concatenate([np.ones((kept, 1)), offset[near]], axis=1)
        fit = np.linalg.lstsq(local * np.sqrt(weight)[:, None], truth[near] * np.sqrt(weight)[:, None], rcond=None)[0]
        moved = truth[near] - offset[near] @ fit[1:]
        quantiles = [_weighted_quantiles(column, weight) for column in moved.T]
        rows.append((np.average(moved, axis=0, weights=weight), *np.array(quantiles).T))
    value, low, high = (np.array(part) for part in zip(*rows))
    return Estimates(value, low, high)


def _weighted_quantiles(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    below = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.interp([0.5 - LEVEL / 2, 0.5 + LEVEL / 2], below / weight.sum(), values[order])
