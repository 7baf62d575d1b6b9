"""Autoencoders whose decoder is the generator's network: with a mixture over the codes, and variational.

The encoder is dense: flattened sample and conditions through two hidden layers as wide as the generator. Mixtures over
the codes of a deterministic autoencoder after Ghosh et al. (2020, section 4); the variational bound of Kingma and
Welling (2014, eq. 7 and 10) with one standard deviation per channel of the Gaussian likelihood fitted beside the
parameters, and a sample is drawn from the whole model, that noise included.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PyTree

from gan.baselines.fitting import Baseline, Fit
from gan.networks.mlp import DenseChain, flatten
from gan.training.batches import Batches

COMPONENTS = 10
ENCODED = 20_000
"""Most codes that the mixture is fitted to."""


def _encoder(fit: Fit, outputs: int) -> tuple[Any, Any]:
    spec, config = fit.spec, fit.recipe.network
    inputs = int(np.prod(spec.shape)) + spec.vector_length() + spec.field_numbers()
    rng = np.random.default_rng((fit.recipe.training.seed, 21))
    graph, params = nnx.split(DenseChain((inputs, config.width, config.width, outputs), rng), nnx.Param)
    names = sorted(fit.conditions)

    def encode(params: PyTree, real: Array, condition: dict[str, Array]) -> Array:
        given = [fit.conditions[name].normalize(condition[name]) for name in names]
        return nnx.merge(graph, params)(flatten(real, *given))

    return encode, nnx.to_pure_dict(params)


def autoencoder(fit: Fit) -> Baseline:
    """Fit an autoencoder by squared error, then a mixture of ten Gaussians to its codes."""
    networks, decoder, network_state = fit.network({}, fit.recipe.training.seed)
    encode, encoder = _encoder(fit, math.prod(networks.latent))

    def decode(params: PyTree, codes: Array, condition: dict[str, Array]) -> Array:
        return networks.generate(params["decoder"], network_state, codes.reshape((-1, *networks.latent)), condition)

    def loss(params: PyTree, real: Array, condition: dict[str, Array], key: Array) -> Array:
        codes = encode(params["encoder"], real, condition)
        again = decode(params, codes, condition)
        # The codes' size is free without a price on it.
        return jnp.mean((again - real) ** 2) + 1e-4 * jnp.mean(codes**2)

    params, seconds = fit.minimise(loss, {"encoder": encoder, "decoder": decoder}, "autoencoder")
    problem = fit.problem
    real, condition = Batches(problem.train, problem.condition, 0).take((0, 0), (min(ENCODED, len(problem.train)),))
    codes = np.asarray(jax.jit(encode)(params["encoder"], fit.normalizer.normalize(real), condition))
    weights, means, factors = fit_mixture(codes, COMPONENTS, seed=fit.recipe.training.seed)

    def draw(keys: Array, condition: dict[str, Array]) -> Array:
        def code(key: Array) -> Array:
            which, normal = jax.random.split(key)
            k = jax.random.choice(which, len(weights), p=jnp.asarray(weights, jnp.float32))
            noise = jax.random.normal(normal, (means.shape[1],))
            return jnp.asarray(means, jnp.float32)[k] + jnp.asarray(factors, jnp.float32)[k] @ noise

        return decode(params, jax.vmap(code)(keys), condition)

    return fit.baseline(draw, seconds, "an autoencoder whose codes are drawn from a fitted mixture of Gaussians")


def variational_autoencoder(fit: Fit) -> Baseline:
    """Fit decoder, encoder and the likelihood's standard deviations by the variational bound."""
    networks, decoder, network_state = fit.network({}, fit.recipe.training.seed)
    size, channels = math.prod(networks.latent), fit.spec.channels
    encode, encoder = _encoder(fit, 2 * size)

    def decode(params: PyTree, codes: Array, condition: dict[str, Array]) -> Array:
        return networks.generate(params["decoder"], network_state, codes.reshape((-1, *networks.latent)), condition)

    def loss(params: PyTree, real: Array, condition: dict[str, Array], key: Array) -> Array:
        mean, log_std = jnp.split(encode(params["encoder"], real, condition), 2, axis=-1)
        log_std = jnp.clip(log_std, -8.0, 4.0)
        codes = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
        again = decode(params, codes, condition)
        log_noise = params["log_noise"]
        fit_term = 0.5 * ((again - real) * jnp.exp(-log_noise)) ** 2 + log_noise
        divergence = 0.5 * (mean**2 + jnp.exp(2 * log_std) - 1) - log_std
        numbers = real[0].size
        return jnp.mean(fit_term) + jnp.mean(jnp.sum(divergence, axis=-1)) / numbers

    start = {"encoder": encoder, "decoder": decoder, "log_noise": jnp.zeros(channels)}
    params, seconds = fit.minimise(loss, start, "variational autoencoder")

    def draw(keys: Array, condition: dict[str, Array]) -> Array:
        pairs = jax.vmap(jax.random.split)(keys)
        codes = jax.vmap(lambda key: jax.random.normal(key, (size,)))(pairs[:, 0])
        mean = decode(params, codes, condition)
        noise = jax.vmap(lambda key: jax.random.normal(key, mean.shape[1:]))(pairs[:, 1])
        return mean + jnp.exp(params["log_noise"]) * noise

    return fit.baseline(draw, seconds, "a variational autoencoder, the noise of its likelihood included")


def fit_mixture(
    points: Float[np.ndarray, "n d"], components: int, *, steps: int = 100, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a mixture of Gaussians by expectation maximisation (Dempster, Laird and Rubin 1977).

    Returns:
        weights (k,), means (k, d), and lower triangular factors of the covariances (k, d, d).
    """
    points = np.asarray(points, np.float64)
    count, size = points.shape
    components = max(1, min(components, count // (2 * size + 2)))
    rng = np.random.default_rng((seed, 22))
    overall = np.cov(points, rowvar=False).reshape(size, size)
    floor = (1e-6 * np.trace(overall) / size + 1e-12) * np.eye(size)
    means = points[rng.choice(count, components, replace=False)]
    covariances = np.repeat((overall + floor)[None], components, axis=0)
    weights = np.full(components, 1 / components)
    before = -np.inf
    for _ in range(steps):
        factors = np.linalg.cholesky(covariances)
        logs = np.empty((count, components))
        for k in range(components):
            scaled = np.linalg.solve(factors[k], (points - means[k]).T)
            logs[:, k] = np.log(weights[k]) - 0.5 * (scaled**2).sum(axis=0) - np.log(np.diag(factors[k])).sum()
        top = logs.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(logs - top).sum(axis=1))
        share = np.exp(logs - total[:, None])
        mass = share.sum(axis=0) + 1e-9
        weights, means = mass / mass.sum(), (share.T @ points) / mass[:, None]
        for k in range(components):
            apart = points - means[k]
            covariances[k] = (share[:, k, None] * apart).T @ apart / mass[k] + floor
        if total.mean() - before < 1e-6:
            break
        before = total.mean()
    return weights, means, np.linalg.cholesky(covariances)
