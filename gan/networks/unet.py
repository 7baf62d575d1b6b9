"""A U-Net generator from fields to fields (Ronneberger, Fischer and Brox 2015; as a generator Isola et al. 2017).

The latent is a random field like a sample and enters beside the condition fields. Residual blocks without
normalisation and linear resampling, as in :mod:`gan.networks.resnet`, go down ``levels`` resolutions and up again;
on the way up each level sees its field of the way down. Condition vectors are added at every level of both ways.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Joins, beside
from gan.networks.layers import Convolution, downsample, upsample
from gan.networks.resnet import coarse_shape, stages


class UNetGenerator(nnx.Module):
    """Random field (and condition) to a field, in normalised units.

    Raises:
        ValueError: the grid cannot be halved ``levels - 1`` times.
    """

    def __init__(self, plan: Blueprint):
        config, rules, rng = plan.config, plan.rules, plan.rng
        coarse_shape(plan.grid, config.levels)
        self.rules = rules
        self.entry = Convolution(plan.latent[-1] + plan.field, config.width, 1, rules, rng)
        self.down, self.up = stages(plan, range(config.levels)), stages(plan, reversed(range(config.levels)))
        self.bridges = nnx.List(
            [Convolution(2 * config.width, config.width, 1, rules, rng) for _ in range(config.levels - 1)]
        )
        self.joins = Joins(replace(plan, field=0), (config.width,) * (2 * config.levels))
        self.head = Convolution(config.width, plan.channels, 1, rules, rng, last=True)

    def __call__(
        self,
        latent: Float[Array, "batch *grid numbers"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *grid, channels)``."""
        levels = len(self.down)
        x, seen = self.entry(beside(latent, field, self.rules)), []
        for level, stage in enumerate(self.down):
            if level:
                seen.append(x)
                x = downsample(x, self.rules)
            x = self.joins(level, x, vector)
            for block in stage:
                x = block(x)
        for level, stage in enumerate(self.up):
            if level:
                x = jnp.concatenate([upsample(x, self.rules), seen.pop()], axis=-1)
                x = self.bridges[level - 1](x)
            x = self.joins(levels + level, x, vector)
            for block in stage:
                x = block(x)
        return self.head(x)
