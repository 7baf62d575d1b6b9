"""Dense residual generator and discriminator, for samples of a few numbers: states, coefficients, amplitudes.

Every block adds W_2 silu(W_1 silu(x)) to its input, and its last weights start small, so that a deep network begins as
a shallow one (He et al. 2016, arXiv:1603.05027, the order of the parts). The activation is smooth, which a velocity of
flow matching and a gradient penalty both want. Fields and conditions are flattened.
"""

from __future__ import annotations

import math

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Projection
from gan.networks.layers import Dense, flatten

SMALL = 0.1
"""Scale of the last weights of a block, and of the network."""


class ResidualBody(nnx.Module):
    """Entry and residual blocks of one width."""

    def __init__(self, inputs: int, width: int, blocks: int, rng: np.random.Generator):
        self.entry = Dense(inputs, width, rng)
        self.first = nnx.List([Dense(width, width, rng, math.sqrt(2.0)) for _ in range(blocks)])
        self.second = nnx.List([Dense(width, width, rng, SMALL) for _ in range(blocks)])

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch width"]:
        """Return the activated features."""
        x = self.entry(x)
        for first, second in zip(self.first, self.second):
            x = x + second(jax.nn.silu(first(jax.nn.silu(x))))
        return jax.nn.silu(x)


class DenseResidualGenerator(nnx.Module):
    """Flattened latent (and condition) to a sample, normalised units."""

    def __init__(self, plan: Blueprint):
        self.output = (*plan.grid, plan.channels)
        inputs = math.prod(plan.latent) + plan.vector + plan.field_numbers
        self.body = ResidualBody(inputs, plan.config.width, plan.config.blocks, plan.rng)
        self.head = Dense(plan.config.width, math.prod(self.output), plan.rng, SMALL, last=True)

    def __call__(
        self,
        latent: Float[Array, " batch *latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised samples."""
        x = self.head(self.body(flatten(latent, vector, field)))
        return x.reshape((latent.shape[0], *self.output))


class DenseResidualDiscriminator(nnx.Module):
    """Flattened normalised sample (and condition) to one logit."""

    def __init__(self, plan: Blueprint):
        inputs = math.prod(plan.grid) * plan.channels + plan.vector + plan.field_numbers
        self.body = ResidualBody(inputs, plan.config.width, plan.config.blocks, plan.rng)
        self.head = Dense(plan.config.width, 1, plan.rng, last=True)
        self.projection = Projection(plan.config.width, plan)

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        features = self.body(flatten(x, vector, field))
        return self.head(features)[:, 0] + self.projection(features, vector)
