"""Fourier neural operator networks (Li et al. 2021, arXiv:2010.08895): the same parameters on any grid.

    layer(x) = x + act(W x + F^-1 (R F x)),    R a matrix of channels for each of the lowest waves

The sum with x is an addition to theirs, which is act(W x + F^-1 (R F x)).

Transforms are normalised by the count of points, so that a field sampled on another grid gives the same function
sampled there. The highest wave of an even grid is never among the kept ones, for its coefficient depends on the grid.
Along an axis that is not periodic the field is continued by its boundary's rule on a quarter of its length at both
ends before the transform, and cropped after.

The discriminator averages over the grid before its last map, so it takes any grid too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Joins, Projection, beside
from gan.networks.layers import PADDINGS, Dense, Field, activation


class FourierLayer(nnx.Module):
    """Residual layer of a map of the lowest ``modes`` waves along each axis and a map of the channels at each point.

    Raises:
        ValueError: the grid that the network is built for does not carry that many waves.
    """

    def __init__(self, plan: Blueprint, width: int):
        modes, ndim = plan.config.modes, len(plan.rules)
        for size, rule in zip(plan.grid, plan.rules):
            points = size if rule == "circular" else size + 2 * (size // 4)
            if modes > points // 2:
                raise ValueError(
                    f"network.modes = {modes} does not fit a grid of shape {plan.grid}: "
                    f"{points} points carry {points // 2} waves; keep fewer."
                )
        # Along the last axis a real field needs the waves from zero upwards only.
        shape = (2 * modes - 1,) * (ndim - 1) + (modes, width, width)
        scale = 1.0 / (width * math.sqrt(2.0))
        self.real = nnx.Param(jnp.asarray(plan.rng.standard_normal(shape) * scale, jnp.float32))
        self.imaginary = nnx.Param(jnp.asarray(plan.rng.standard_normal(shape) * scale, jnp.float32))
        self.point = Dense(width, width, plan.rng)
        self.rules, self.modes = plan.rules, modes

    def _kept(self, size: int, last: bool) -> np.ndarray:
        low = np.arange(self.modes)
        return low if last else np.concatenate([low, size - np.arange(self.modes - 1, 0, -1)])

    def __call__(self, x: Field) -> Field:
        """Apply the layer on the grid of its input."""
        ndim, grid = len(self.rules), x.shape[1:-1]
        margins = [0 if rule == "circular" else size // 4 for size, rule in zip(grid, self.rules)]
        padded = x
        for axis, (margin, rule) in enumerate(zip(margins, self.rules), start=1):
            widths = [(0, 0)] * x.ndim
            widths[axis] = (margin, margin)
            padded = jnp.pad(padded, widths, mode=PADDINGS[rule])
        axes = tuple(range(1, ndim + 1))
        sizes = padded.shape[1:-1]
        # There is no transform in bfloat16.
        exact = padded.astype(jnp.promote_types(padded.dtype, jnp.float32))
        spectrum = jnp.fft.rfftn(exact, axes=axes, norm="forward")
        kept = np.ix_(*(self._kept(size, axis == ndim - 1) for axis, size in enumerate(sizes)))
        place = (slice(None), *kept)
        weights = self.real[...] + 1j * self.imaginary[...]
        mapped = jnp.einsum("b...i,...io->b...o", spectrum[place], weights)
        filled = jnp.zeros((*spectrum.shape[:-1], mapped.shape[-1]), mapped.dtype).at[place].set(mapped)
        y = jnp.fft.irfftn(filled, s=sizes, axes=axes, norm="forward").astype(x.dtype)
        inner = tuple(slice(margin, margin + size) for margin, size in zip(margins, grid))
        return x + activation(self.point(x) + y[(slice(None), *inner)])


class FourierGenerator(nnx.Module):
    """Random field (and condition) to a field, in normalised units; ``blocks`` Fourier layers."""

    def __init__(self, plan: Blueprint):
        config = plan.config
        self.rules = plan.rules
        self.entry = Dense(plan.latent[-1] + plan.field, config.width, plan.rng)
        self.layers = nnx.List([FourierLayer(plan, config.width) for _ in range(config.blocks)])
        self.joins = Joins(replace(plan, field=0), (config.width,) * config.blocks)
        self.lift = Dense(config.width, 2 * config.width, plan.rng)
        self.head = Dense(2 * config.width, plan.channels, plan.rng, last=True)

    def __call__(
        self,
        latent: Float[Array, "batch *grid numbers"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields on the grid of the latent."""
        x = self.entry(beside(latent, field, self.rules))
        for index, layer in enumerate(self.layers):
            x = layer(self.joins(index, x, vector))
        return self.head(activation(self.lift(x)))


class FourierDiscriminator(nnx.Module):
    """Normalised field (and condition) on any grid to one logit per sample; ``blocks`` Fourier layers."""

    def __init__(self, plan: Blueprint):
        config = plan.config
        self.rules = plan.rules
        self.entry = Dense(plan.channels + plan.field, config.width, plan.rng)
        self.layers = nnx.List([FourierLayer(plan, config.width) for _ in range(config.blocks)])
        self.lift = Dense(config.width, 2 * config.width, plan.rng)
        self.head = Dense(2 * config.width, 1, plan.rng, last=True)
        self.joins = Joins(replace(plan, field=0), (config.width,) * config.blocks)
        self.projection = Projection(2 * config.width, plan)

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        x = self.entry(beside(x, field, self.rules))
        for index, layer in enumerate(self.layers):
            x = layer(self.joins(index, x, vector))
        features = jnp.mean(activation(self.lift(x)), axis=tuple(range(1, x.ndim - 1)))
        return self.head(features)[:, 0] + self.projection(features, vector)
