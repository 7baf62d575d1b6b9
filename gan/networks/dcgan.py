"""The deep convolutional networks of Radford, Metz and Chintala 2016 (arXiv:1511.06434), on one to three axes.

Strided convolutions of four points go down in the discriminator and transposed ones go up in the generator, each
halving or doubling the grid while channels double or halve; batch normalisation after all but the generator's output
and the discriminator's input. Departures: leaky ReLU in both players, a linear output (fields have no range that a
tanh would fit), optional dropout in the discriminator, and batch normalisation in the generator alone unless
``network.batch_norm`` asks for more, because gradient penalties need samples judged one by one.

Both strided layers are written as a convolution of two points with stride one over pairs of points: the same sums,
without the dilated convolutions that are slow in a double backward pass.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Joins, Projection, beside
from gan.networks.layers import Dense, Field, activation, flatten, pad, rounded
from gan.networks.resnet import coarse_shape
from gan.networks.stochastic import BatchNormalization, dropout


def _two_points(x: Field, kernel: Array) -> Float[Array, "batch *made outputs"]:
    """Convolve with a kernel of two points along each axis: n + 1 points become n."""
    ndim = x.ndim - 2
    letters = "XYZ"[:ndim]
    layout = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    y = jax.lax.conv_general_dilated(x, kernel, (1,) * ndim, "SAME", dimension_numbers=layout)
    return y[(slice(None), *(slice(None, -1),) * ndim)]


def _pairs_to_channels(x: Field) -> Float[Array, "batch *made outputs"]:
    """(batch, 2 n, ..., c) -> (batch, n, ..., 2^d c), the place within the pairs before the channel."""
    grid, ndim = x.shape[1:-1], x.ndim - 2
    split = x.reshape((x.shape[0], *(k for n in grid for k in (n // 2, 2)), x.shape[-1]))
    order = (0, *range(1, 2 * ndim, 2), *range(2, 2 * ndim + 1, 2), 2 * ndim + 1)
    return split.transpose(order).reshape((x.shape[0], *(n // 2 for n in grid), -1))


def _channels_to_pairs(x: Field) -> Float[Array, "batch *made outputs"]:
    """Undo :func:`_pairs_to_channels`."""
    grid, ndim = x.shape[1:-1], x.ndim - 2
    split = x.reshape((x.shape[0], *grid, *(2,) * ndim, -1))
    order = (0, *(k for axis in range(ndim) for k in (1 + axis, 1 + ndim + axis)), 2 * ndim + 1)
    return split.transpose(order).reshape((x.shape[0], *(2 * n for n in grid), -1))


def halved(x: Field, kernel: Array, rules: tuple[str, ...]) -> Float[Array, "batch *made outputs"]:
    """Convolve with four points and stride two: ``y[i] = sum_k w[k] x[2 i + k - 1]`` along each axis.

    Args:
        x: fields of even shape.
        kernel: (4, ..., 4, inputs, outputs).
        rules: boundary rule of every axis.
    """
    ndim = len(rules)
    split = kernel.reshape((2,) * (2 * ndim) + kernel.shape[-2:])
    order = (*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2), 2 * ndim, 2 * ndim + 1)
    taps = split.transpose(order).reshape((2,) * ndim + (-1, kernel.shape[-1]))
    return _two_points(_pairs_to_channels(pad(x, 1, rules)), taps)


def doubled(x: Field, kernel: Array, rules: tuple[str, ...]) -> Float[Array, "batch *made outputs"]:
    """Apply the transpose of :func:`halved`: ``y[j] = sum_i w[j - 2 i + 1] x[i]`` along each axis.

    Beyond the boundary x goes on by the boundary's rule; arguments as there.
    """
    ndim = len(rules)
    # Between x[i-1] and x[i] lie y[2i-1] = w[2] x[i-1] + w[0] x[i] and y[2i] = w[3] x[i-1] + w[1] x[i].
    split = jnp.flip(kernel.reshape((2,) * (2 * ndim) + kernel.shape[-2:]), tuple(range(0, 2 * ndim, 2)))
    order = (*range(0, 2 * ndim, 2), 2 * ndim, *range(1, 2 * ndim, 2), 2 * ndim + 1)
    taps = split.transpose(order).reshape((2,) * ndim + (kernel.shape[-2], -1))
    pairs = _channels_to_pairs(_two_points(pad(x, 1, rules), taps))
    return pairs[(slice(None), *(slice(1, -1),) * ndim)]


class Strided(nnx.Module):
    """Convolution of four points and stride two, :func:`halved`, with a bias."""

    def __init__(self, inputs: int, outputs: int, rules: tuple[str, ...], rng: np.random.Generator):
        shape = (4,) * len(rules) + (inputs, outputs)
        self.kernel = nnx.Param(
            jnp.asarray(rng.standard_normal(shape) / math.sqrt(inputs * 4 ** len(rules)), jnp.float32)
        )
        self.bias = nnx.Param(jnp.zeros((outputs,), jnp.float32))
        self.rules = rules

    def __call__(self, x: Field) -> Float[Array, "batch *made outputs"]:
        """Halve the grid."""
        y = halved(rounded(x, self.kernel[...]), self.kernel[...], self.rules)
        return y + self.bias[...].astype(y.dtype)


class Transposed(nnx.Module):
    """The transpose of it, :func:`doubled`, with a bias."""

    def __init__(self, inputs: int, outputs: int, rules: tuple[str, ...], rng: np.random.Generator):
        shape = (4,) * len(rules) + (inputs, outputs)
        # Two of the four points along each axis meet any one output.
        self.kernel = nnx.Param(
            jnp.asarray(rng.standard_normal(shape) / math.sqrt(inputs * 2 ** len(rules)), jnp.float32)
        )
        self.bias = nnx.Param(jnp.zeros((outputs,), jnp.float32))
        self.rules = rules

    def __call__(self, x: Field) -> Float[Array, "batch *made outputs"]:
        """Double the grid."""
        y = doubled(rounded(x, self.kernel[...]), self.kernel[...], self.rules)
        return y + self.bias[...].astype(y.dtype)


def widths_of(plan: Blueprint) -> tuple[int, ...]:
    """Return the channels of every level from coarse to fine, doubling towards the coarse ones."""
    return tuple(plan.config.width * 2**level for level in reversed(range(plan.config.levels)))


class TransposedGenerator(nnx.Module):
    """Latent (and condition) to a field, in normalised units.

    Raises:
        ValueError: the grid cannot be halved ``levels - 1`` times.
    """

    def __init__(self, plan: Blueprint):
        widths, rng = widths_of(plan), plan.rng
        self.coarse = coarse_shape(plan.grid, plan.config.levels)
        self.root = Dense(math.prod(plan.latent) + plan.vector, widths[0] * math.prod(self.coarse), rng)
        self.steps = nnx.List([Transposed(a, b, plan.rules, rng) for a, b in pairwise(widths)])
        normalized = plan.config.batch_norm != "none"
        self.norms = nnx.List([BatchNormalization(width) for width in widths if normalized])
        self.joins = Joins(plan, widths)
        self.head = Dense(widths[-1], plan.channels, rng, last=True)

    def __call__(
        self,
        latent: Float[Array, " batch *latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *grid, channels)``."""
        x = self.root(flatten(latent, vector)).reshape((latent.shape[0], *self.coarse, -1))
        for level in range(len(self.steps) + 1):
            if level:
                x = self.steps[level - 1](x)
            x = self.joins(level, x, vector, field)
            if self.norms:
                x = self.norms[level](x, training)
            x = activation(x)
        return self.head(x)


class StridedDiscriminator(nnx.Module):
    """Normalised field (and condition) to one logit per sample."""

    def __init__(self, plan: Blueprint):
        widths, rng = widths_of(plan)[::-1], plan.rng
        coarsest = coarse_shape(plan.grid, plan.config.levels)
        self.rules, self.rate = plan.rules, plan.config.dropout
        self.entry = Dense(plan.channels + plan.field, widths[0], rng)
        self.steps = nnx.List([Strided(a, b, plan.rules, rng) for a, b in pairwise(widths)])
        normalized = plan.config.batch_norm == "both"
        self.norms = nnx.List([BatchNormalization(width) for width in widths[1:] if normalized])
        features = widths[-1] * math.prod(coarsest)
        self.head = Dense(features, 1, rng, last=True)
        self.joins = Joins(replace(plan, field=0), widths)
        self.projection = Projection(features, plan)

    def __call__(
        self,
        x: Float[Array, "batch *grid channels"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        x = activation(self.joins(0, self.entry(beside(x, field, self.rules)), vector))
        for level, step in enumerate(self.steps, start=1):
            x = self.joins(level, step(x), vector)
            if self.norms:
                x = self.norms[level - 1](x, training)
            x = dropout(activation(x), self.rate, training, level)
        features = x.reshape((x.shape[0], -1))
        return self.head(features)[:, 0] + self.projection(features, vector)
