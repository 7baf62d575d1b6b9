"""Regression: the generator's network, without noise, learns the mean of the samples given their condition."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan.baselines.fitting import Baseline, Fit


def regression(fit: Fit) -> Baseline:
    """Fit the conditional mean by squared error; its ensemble has no spread.

    Raises:
        ValueError: the problem has no condition.
    """
    if not fit.problem.condition:
        raise ValueError("Regression needs a condition: leave it out for an unconditional problem.")
    networks, start, network_state = fit.network({}, fit.recipe.training.seed)

    def predict(params: PyTree, count: int, condition: dict[str, Array]) -> Array:
        return networks.generate(params, network_state, jnp.zeros((count, *networks.latent)), condition)

    def loss(params: PyTree, real: Array, condition: dict[str, Array], key: Array) -> Array:
        return jnp.mean((predict(params, len(real), condition) - real) ** 2)

    params, seconds = fit.minimise(loss, start, "regression")

    def draw(keys: Array, condition: dict[str, Array]) -> Array:
        return predict(params, len(keys), condition)

    return fit.baseline(draw, seconds, "the conditional mean by regression, an ensemble without spread")
