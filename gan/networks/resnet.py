"""Residual convolutional generator and discriminator without normalisation, on grids of one to three axes.

After R3GAN (Huang et al. 2024): no normalisation, leaky ReLU, linear resampling, residual branches with
fix-up initialisation (Zhang, Dauphin and Ma 2019, section 3: the last convolution of a branch starts at
zero, the others are scaled by L^(-1/(2m-2)) for L branches of m convolutions), so that a deep network
starts as a linear one.

    block(x) = x + conv(act(conv(act(x))))

The generator maps a latent vector (with the condition's vectors) to the coarsest grid, then blocks and
doublings alternate; condition fields, resized, join at every resolution. The discriminator runs the other
way, sees condition fields as channels beside the sample, and condition vectors by projection (Miyato and
Koyama 2018, eq. 3).
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.layers import Convolution, Dense, Field, activation, downsample, resize, upsample


class Block(nnx.Module):
    """Residual block of two convolutions; at the start it is the identity."""

    def __init__(self, width: int, kernel: int, rules: tuple[str, ...], branches: int, rng: np.random.Generator):
        self.first = Convolution(width, width, kernel, rules, rng, scale=1.0 / math.sqrt(branches))
        self.second = Convolution(width, width, kernel, rules, rng, scale=0.0)

    def __call__(self, x: Field) -> Field:
        """Apply the block."""
        return x + self.second(activation(self.first(activation(x))))


class ResidualGenerator(nnx.Module):
    """Latent vector (and condition) to a field of ``channels`` on ``shape``, in normalised units.

    Raises:
        ValueError: the grid cannot be halved ``levels - 1`` times.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: int,
        latent: int,
        width: int,
        levels: int,
        blocks: int,
        kernel: int,
        rules: tuple[str, ...],
        vector: int,
        field: int,
        rng: np.random.Generator,
    ):
        coarsest = coarse_shape(shape, levels)
        self.coarse = coarsest
        self.rules = rules
        self.root = Dense(latent + vector, width * math.prod(coarsest), rng)
        count = levels * blocks
        self.stages = nnx.List(
            [nnx.List([Block(width, kernel, rules, count, rng) for _ in range(blocks)]) for _ in range(levels)]
        )
        self.joins = nnx.List([Convolution(field, width, 1, rules, rng) for _ in range(levels)] if field else [])
        self.shifts = nnx.List([Dense(vector, width, rng) for _ in range(levels)] if vector else [])
        self.head = Convolution(width, channels, 1, rules, rng)

    def __call__(
        self,
        latent: Float[Array, "batch latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *shape, channels)``."""
        entry = latent if vector is None else jnp.concatenate([latent, vector], axis=-1)
        x = self.root(entry).reshape((latent.shape[0], *self.coarse, -1))
        for level, stage in enumerate(self.stages):
            if level:
                x = upsample(x, self.rules)
            if field is not None:
                x = x + self.joins[level](resize(field, x.shape[1:-1], self.rules))
            if vector is not None:
                shift = self.shifts[level](vector)
                x = x + shift.reshape((shift.shape[0],) + (1,) * len(self.rules) + (-1,))
            for block in stage:
                x = block(x)
        return self.head(x)


class ResidualDiscriminator(nnx.Module):
    """Normalised field (and condition) to one logit per sample."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: int,
        width: int,
        levels: int,
        blocks: int,
        kernel: int,
        rules: tuple[str, ...],
        vector: int,
        field: int,
        rng: np.random.Generator,
    ):
        coarsest = coarse_shape(shape, levels)
        self.rules = rules
        self.entry = Convolution(channels + field, width, 1, rules, rng)
        count = levels * blocks
        self.stages = nnx.List(
            [nnx.List([Block(width, kernel, rules, count, rng) for _ in range(blocks)]) for _ in range(levels)]
        )
        features = width * math.prod(coarsest)
        self.head = Dense(features, 1, rng)
        self.shifts = nnx.List([Dense(vector, width, rng) for _ in range(levels)] if vector else [])
        self.project = Dense(features, width, rng) if vector else None
        self.embed = Dense(vector, width, rng) if vector else None

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        if field is not None:
            x = jnp.concatenate([x, resize(field, x.shape[1:-1], self.rules)], axis=-1)
        x = self.entry(x)
        for level, stage in enumerate(self.stages):
            if level:
                x = downsample(x, self.rules)
            if vector is not None:
                shift = self.shifts[level](vector)
                x = x + shift.reshape((shift.shape[0],) + (1,) * len(self.rules) + (-1,))
            for block in stage:
                x = block(x)
        features = activation(x).reshape((x.shape[0], -1))
        logits = self.head(features)[:, 0]
        if self.project is not None and self.embed is not None and vector is not None:
            product = self.project(features) * self.embed(vector)
            logits = logits + jnp.sum(product, axis=-1) / math.sqrt(product.shape[-1])
        return logits


def coarse_shape(shape: tuple[int, ...], levels: int) -> tuple[int, ...]:
    """Return the grid after ``levels - 1`` halvings.

    Raises:
        ValueError: an axis cannot be halved that often.
    """
    factor = 2 ** (levels - 1)
    if any(size % factor or size // factor < 1 for size in shape):
        raise ValueError(
            f"network.levels = {levels} does not fit a grid of shape {shape}: every axis must be "
            f"a multiple of {factor}; use fewer levels or another grid."
        )
    return tuple(size // factor for size in shape)
