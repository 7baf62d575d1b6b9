"""How conditions reach the networks: fields and vectors added at a resolution, vectors by projection."""

from __future__ import annotations

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint
from gan.networks.layers import Convolution, Dense, Field, resize


class Joins(nnx.Module):
    """Adds condition fields, resized, and mapped vectors to the hidden field of each level; one width per level."""

    def __init__(self, plan: Blueprint, widths: tuple[int, ...]):
        self.rules = plan.rules
        self.fields = nnx.List([Convolution(plan.field, w, 1, plan.rules, plan.rng) for w in widths if plan.field])
        self.shifts = nnx.List([Dense(plan.vector, width, plan.rng) for width in widths if plan.vector])

    def __call__(
        self,
        level: int,
        x: Field,
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None = None,
    ) -> Field:
        """Return the hidden field of a level with what the condition adds there."""
        if field is not None:
            x = x + self.fields[level](resize(field, x.shape[1:-1], self.rules))
        if vector is not None:
            shift = self.shifts[level](vector)
            x = x + shift.reshape((shift.shape[0],) + (1,) * len(self.rules) + (-1,))
        return x


def beside(
    x: Float[Array, "batch *grid channels"], field: Float[Array, "batch *coarse k"] | None, rules: tuple[str, ...]
) -> Float[Array, "batch *grid more"]:
    """Return a field with the condition field, resized, as further channels; itself where there is none."""
    return x if field is None else jnp.concatenate([x, resize(field, x.shape[1:-1], rules)], axis=-1)


class Projection(nnx.Module):
    """Inner product of the discriminator's features with the embedded condition (Miyato and Koyama 2018).

    Both are mapped to ``width`` numbers, and the product is divided by the root of their count. Without vector
    conditions, or with ``network.projection`` off, it adds nothing.
    """

    def __init__(self, features: int, plan: Blueprint):
        wanted = plan.vector > 0 and plan.config.projection
        self.project = Dense(features, plan.config.width, plan.rng, last=True) if wanted else None
        self.embed = Dense(plan.vector, plan.config.width, plan.rng, last=True) if wanted else None

    def __call__(
        self, features: Float[Array, "batch features"], vector: Float[Array, "batch vector"] | None
    ) -> Float[Array, " batch"]:
        """Return what is added to each sample's logit."""
        if self.project is None or self.embed is None or vector is None:
            return jnp.zeros(features.shape[:1], features.dtype)
        product = self.project(features) * self.embed(vector)
        return jnp.sum(product, axis=-1) / math.sqrt(product.shape[-1])
