"""Dense generator and discriminator, for low-dimensional states and as a baseline on small grids.

The dense networks of the classic articles with leaky ReLU, without normalisation, weights by He et al.
(2015). Fields and conditions are flattened; the output has the field's shape.
"""

from __future__ import annotations

import math
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.layers import Dense, activation


class DenseChain(nnx.Module):
    """Affine maps with the activation between them."""

    def __init__(self, sizes: tuple[int, ...], rng: np.random.Generator):
        self.layers = nnx.List([Dense(a, b, rng) for a, b in pairwise(sizes)])

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Apply the chain."""
        for index, layer in enumerate(self.layers):
            x = layer(activation(x) if index else x)
        return x


def flatten(*parts: Array | None) -> Float[Array, "batch numbers"]:
    """Concatenate what is given, one row per sample."""
    return jnp.concatenate([p.reshape((p.shape[0], -1)) for p in parts if p is not None], axis=-1)


class DenseGenerator(nnx.Module):
    """Latent vector (and flattened condition) to a field of ``channels`` on ``shape``, normalised units."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: int,
        latent: int,
        width: int,
        blocks: int,
        vector: int,
        field: int,
        rng: np.random.Generator,
    ):
        self.output = (*shape, channels)
        inputs = latent + vector + field
        self.chain = DenseChain((inputs, *(width,) * blocks, math.prod(self.output)), rng)

    def __call__(
        self,
        latent: Float[Array, "batch latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *shape, channels)``."""
        return self.chain(flatten(latent, vector, field)).reshape((latent.shape[0], *self.output))


class DenseDiscriminator(nnx.Module):
    """Flattened normalised field (and condition) to one logit per sample."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: int,
        width: int,
        blocks: int,
        vector: int,
        field: int,
        rng: np.random.Generator,
    ):
        inputs = math.prod(shape) * channels + vector + field
        self.chain = DenseChain((inputs, *(width,) * blocks, 1), rng)

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        return self.chain(flatten(x, vector, field))[:, 0]
