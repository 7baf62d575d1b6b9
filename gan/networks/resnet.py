"""Residual convolutional generator and discriminator without normalisation, on grids of one to three axes.

After R3GAN (Huang et al. 2024): no normalisation, leaky ReLU, linear resampling, residual branches with
fix-up initialisation (Zhang, Dauphin and Ma 2019, section 3: the last convolution of a branch starts at
zero, the others are scaled by L^(-1/(2m-2)) for L branches of m convolutions), so that a deep network
starts as a linear one.

    block(x) = x + conv(act(conv(act(x))))

The generator maps a latent vector (with the condition's vectors) to the coarsest grid, then blocks and
doublings alternate. On a domain many correlation lengths wide that one map couples what should be independent: two
places read the same few numbers, and fields come out correlated half a domain apart. With ``network.latent_local``
every point of the coarsest grid maps a share of its own, all by the same map, and on a periodic grid the generator
commutes with shifts by that grid's spacing. Condition fields, resized, join at every resolution. The discriminator
runs the other way, sees condition fields as channels beside the sample, and condition vectors by projection (Miyato
and Koyama 2018).

A solver's grid is often finer than its fields need, and the blocks of the finest level are half of the work (of a line;
three quarters of a plane). ``network.plain_levels`` levels do without: the generator ends with interpolations, the
discriminator begins with the same filters. (Patches of points as channels cost as little and fail: what the generator
then makes is rough, and gradients through the solver grow a hundredfold.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Joins, Projection, beside
from gan.networks.layers import Convolution, Dense, Field, activation, downsample, flatten, upsample


class Block(nnx.Module):
    """Residual block of two convolutions; at the start it is the identity."""

    def __init__(self, width: int, kernel: int, rules: tuple[str, ...], branches: int, rng: np.random.Generator):
        self.first = Convolution(width, width, kernel, rules, rng, scale=1.0 / math.sqrt(branches))
        self.second = Convolution(width, width, kernel, rules, rng, scale=0.0)

    def __call__(self, x: Field) -> Field:
        """Apply the block."""
        return x + self.second(activation(self.first(activation(x))))


class ResidualGenerator(nnx.Module):
    """Latent (and condition) to a field, in normalised units.

    Raises:
        ValueError: the grid cannot be halved ``levels - 1`` times.
    """

    def __init__(self, plan: Blueprint):
        config, rules, rng = plan.config, plan.rules, plan.rng
        self.coarse = coarse_shape(plan.grid, config.levels)
        self.rules = rules
        self.places = math.prod(self.coarse) if config.latent_local else 1
        self.root = Dense(root_numbers(plan, self.places), config.width * math.prod(self.coarse) // self.places, rng)
        self.stages = stages(plan, reversed(range(config.levels)))
        self.joins = Joins(plan, (config.width,) * config.levels)
        self.head = Convolution(config.width, plan.channels, 1, rules, rng, last=True)

    def __call__(
        self,
        latent: Float[Array, " batch *latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *grid, channels)``."""
        batch = latent.shape[0]
        here = latent.reshape((batch * self.places, -1))
        everywhere = None if vector is None else jnp.repeat(vector, self.places, axis=0)
        x = self.root(flatten(here, everywhere)).reshape((batch, *self.coarse, -1))
        for level, stage in enumerate(self.stages):
            if level:
                x = upsample(x, self.rules)
            x = self.joins(level, x, vector, field)
            for block in stage:
                x = block(x)
        return self.head(x)


class ResidualDiscriminator(nnx.Module):
    """Normalised field (and condition) to one logit per sample."""

    def __init__(self, plan: Blueprint):
        config = plan.config
        coarsest = coarse_shape(plan.grid, config.levels)
        self.rules = plan.rules
        self.entry = Convolution(plan.channels + plan.field, config.width, 1, plan.rules, plan.rng)
        self.stages = stages(plan, range(config.levels))
        features = config.width * math.prod(coarsest)
        self.head = Dense(features, 1, plan.rng, last=True)
        self.joins = Joins(replace(plan, field=0), (config.width,) * config.levels)
        self.projection = Projection(features, plan)

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        x = self.entry(beside(x, field, self.rules))
        for level, stage in enumerate(self.stages):
            if level:
                x = downsample(x, self.rules)
            x = self.joins(level, x, vector)
            for block in stage:
                x = block(x)
        features = activation(x).reshape((x.shape[0], -1))
        return self.head(features)[:, 0] + self.projection(features, vector)


def stages(plan: Blueprint, levels: Iterable[int]) -> nnx.List:
    """Return the residual blocks of the given levels, 0 the finest; the ``network.plain_levels`` finest have none."""
    config, rules = plan.config, plan.rules
    branches = (config.levels - config.plain_levels) * config.blocks

    def stage(level: int) -> nnx.List:
        count = config.blocks if level >= config.plain_levels else 0
        return nnx.List([Block(config.width, config.kernel, rules, branches, plan.rng) for _ in range(count)])

    return nnx.List([stage(level) for level in levels])


def root_numbers(plan: Blueprint, places: int) -> int:
    """Return how many numbers the generator's first map takes at each of the places it is applied to.

    Raises:
        ValueError: the latent does not divide among them.
    """
    numbers = math.prod(plan.latent)
    if numbers % places or numbers < places:
        raise ValueError(
            f"network.latent = {numbers} does not divide among the {places} points of the coarsest grid, as "
            f"network.latent_local asks: use a multiple of {places}."
        )
    return numbers // places + plan.vector


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
