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


class FourierFeatures(nnx.Module):
    """Appends the cosine and sine of random projections, so that small networks see fine detail.

    After Tancik et al. (2020, section 4), with frequencies of normal direction and scales spread geometrically from
    1 to ``scale``. They are drawn once and not trained.
    """

    def __init__(self, inputs: int, features: int, scale: float, rng: np.random.Generator):
        scales = np.geomspace(1.0, scale, features)
        self.frequencies = nnx.Variable(jnp.asarray(rng.standard_normal((inputs, features)) * scales, jnp.float32))

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Return the input with its features, (batch, inputs + 2 features)."""
        angles = x @ self.frequencies[...]
        return jnp.concatenate([x, jnp.cos(angles), jnp.sin(angles)], axis=-1)


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
        fourier: int,
        fourier_scale: float,
        rng: np.random.Generator,
    ):
        self.output = (*shape, channels)
        inputs = latent + vector + field
        self.features = FourierFeatures(inputs, fourier, fourier_scale, rng) if fourier else None
        self.chain = DenseChain((inputs + 2 * fourier, *(width,) * blocks, math.prod(self.output)), rng)

    def __call__(
        self,
        latent: Float[Array, "batch latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *shape, channels)``."""
        inputs = flatten(latent, vector, field)
        x = self.chain(inputs if self.features is None else self.features(inputs))
        return x.reshape((latent.shape[0], *self.output))


class DenseDiscriminator(nnx.Module):
    """Flattened normalised field (and condition), perhaps with Fourier features, to one logit per sample."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: int,
        width: int,
        blocks: int,
        vector: int,
        field: int,
        fourier: int,
        fourier_scale: float,
        rng: np.random.Generator,
    ):
        inputs = math.prod(shape) * channels + vector + field
        self.features = FourierFeatures(inputs, fourier, fourier_scale, rng) if fourier else None
        self.chain = DenseChain((inputs + 2 * fourier, *(width,) * blocks, 1), rng)

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        inputs = flatten(x, vector, field)
        return self.chain(inputs if self.features is None else self.features(inputs))[:, 0]
