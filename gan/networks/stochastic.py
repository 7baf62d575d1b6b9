"""Batch normalisation whose statistics are those of all devices, and dropout with one key for each sample."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from gan.networks.blueprint import Training
from gan.networks.layers import Field

MEMORY = 0.99
EPSILON = 1e-5


class BatchNormalization(nnx.Module):
    """Scale and shift of every channel to mean and variance of its own (Ioffe and Szegedy 2015, algorithm 1).

    In training the moments are those of the batch over all devices, so that the result does not depend on how many
    there are; without training those of an exponential average with memory ``MEMORY`` per update. Both are in float32,
    whatever the precision of the fields.
    """

    def __init__(self, channels: int):
        self.scale = nnx.Param(jnp.ones((channels,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((channels,), jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros((channels,), jnp.float32))
        self.variance = nnx.BatchStat(jnp.ones((channels,), jnp.float32))

    def __call__(self, x: Field, training: Training | None) -> Field:
        """Normalise a batch of fields."""
        given, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, variance = self.mean[...], self.variance[...]
        if training is not None:
            axes = tuple(range(x.ndim - 1))
            mean = _over_devices(jnp.mean(x, axis=axes), training.axis_name)
            variance = _over_devices(jnp.mean(jnp.square(x - mean), axis=axes), training.axis_name)
            self.mean[...] = MEMORY * self.mean[...] + (1 - MEMORY) * mean
            self.variance[...] = MEMORY * self.variance[...] + (1 - MEMORY) * variance
        return ((x - mean) * jax.lax.rsqrt(variance + EPSILON) * self.scale[...] + self.bias[...]).astype(given)


def _over_devices(value: Array, axis_name: str | None) -> Array:
    return value if axis_name is None else jax.lax.pmean(value, axis_name)


def dropout(x: Field, rate: float, training: Training | None, place: int) -> Field:
    """Set a share ``rate`` of the numbers to zero and scale the rest up (Srivastava et al. 2014); in training only.

    Args:
        x: hidden field.
        rate: share that is dropped.
        training: keys of the samples.
        place: of this layer in its network, so that no two layers drop alike.
    """
    if training is None or rate == 0.0:
        return x
    keys = jax.vmap(lambda key: jax.random.fold_in(key, place))(training.keys)
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - rate, x.shape[1:]))(keys)
    return jnp.where(kept, x / (1.0 - rate), 0.0)
