"""Dense generator and discriminator, for low-dimensional states and as a baseline on small grids.

The dense networks of the classic articles with leaky ReLU, without normalisation, weights by He et al.
(2015). Fields and conditions are flattened; the output has the field's shape.
"""

from __future__ import annotations

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Projection
from gan.networks.layers import Dense, activation, flatten


class DenseChain(nnx.Module):
    """Affine maps with the activation between them; the last one's result is not rounded."""

    def __init__(self, sizes: tuple[int, ...], rng: np.random.Generator):
        count = len(sizes) - 1
        self.layers = nnx.List([Dense(a, b, rng, last=n == count) for n, (a, b) in enumerate(pairwise(sizes), 1)])

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Apply the chain."""
        for index, layer in enumerate(self.layers):
            x = layer(activation(x) if index else x)
        return x


# 2 pi in two parts, the first with so few digits that multiples of it are exact (Cody and Waite 1980).
TURN, TURN_REST = 6.28125, 2 * math.pi - 6.28125
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(6))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(7))


@jax.custom_jvp
def cosine_and_sine(angle: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Return cosine and sine of angles in radians, within 1e-6 up to angles of 1000.

    From Taylor polynomials of half the angle, reduced to one turn. ``jnp.cos`` and ``jnp.sin`` take 16 times as long
    on a CPU (jax 0.10.2), which was nearly half of a training step of small dense players.
    """
    turns = jnp.round(angle / (2 * math.pi))
    half = 0.5 * ((angle - turns * TURN) - turns * TURN_REST)
    square = jnp.square(half)
    sine, cosine = half * _polynomial(SINE, square), _polynomial(COSINE, square)
    return 1.0 - 2.0 * jnp.square(sine), 2.0 * sine * cosine


@cosine_and_sine.defjvp
def _turned(primals: tuple[Array], tangents: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    cosine, sine = cosine_and_sine(*primals)
    return (cosine, sine), (-sine * tangents[0], cosine * tangents[0])


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


class FourierFeatures(nnx.Module):
    """Appends the cosine and sine of random projections, so that small networks see fine detail.

    After Tancik et al. (2020), with frequencies of normal direction and scales spread geometrically from
    1 to ``scale``. They are drawn once and not trained.
    """

    def __init__(self, inputs: int, features: int, scale: float, rng: np.random.Generator):
        scales = np.geomspace(1.0, scale, features)
        self.frequencies = nnx.Variable(jnp.asarray(rng.standard_normal((inputs, features)) * scales, jnp.float32))

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Return the input with its features, (batch, inputs + 2 features)."""
        return jnp.concatenate([x, *cosine_and_sine(x @ self.frequencies[...])], axis=-1)


def features(inputs: int, count: int, scale: float, rng: np.random.Generator) -> FourierFeatures | None:
    """Return the features of an input, ``None`` for a count of zero."""
    return FourierFeatures(inputs, count, scale, rng) if count else None


class DenseGenerator(nnx.Module):
    """Flattened latent (and condition) to a field, normalised units.

    With ``latent_signs`` it sees the signs of the latent too, hence jumps where a number changes its sign: a continuous
    map would have to put samples between modes that lie apart (Khayatkhoei, Singh and Elgammal 2018, section 2).
    """

    def __init__(self, plan: Blueprint):
        self.output = (*plan.grid, plan.channels)
        inputs = math.prod(plan.latent) + plan.vector + plan.field_numbers
        fourier, hidden = plan.config.latent_fourier, (plan.config.width,) * plan.config.blocks
        self.signs = plan.config.latent_signs
        if self.signs:
            inputs += math.prod(plan.latent)
        self.features = features(inputs, fourier, plan.config.latent_fourier_scale, plan.rng)
        self.chain = DenseChain((inputs + 2 * fourier, *hidden, math.prod(self.output)), plan.rng)

    def __call__(
        self,
        latent: Float[Array, " batch *latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch *grid channels"]:
        """Return a batch of normalised fields ``(batch, *grid, channels)``."""
        inputs = flatten(latent, vector, field)
        if self.signs:
            inputs = jnp.concatenate([inputs, jnp.sign(flatten(latent, None, None))], axis=-1)
        x = self.chain(inputs if self.features is None else self.features(inputs))
        return x.reshape((latent.shape[0], *self.output))


class DenseDiscriminator(nnx.Module):
    """Flattened normalised field (and condition), perhaps with Fourier features, to one logit per sample."""

    def __init__(self, plan: Blueprint):
        inputs = math.prod(plan.grid) * plan.channels + plan.vector + plan.field_numbers
        fourier = plan.config.fourier
        self.features = features(inputs, fourier, plan.config.fourier_scale, plan.rng)
        self.chain = DenseChain((inputs + 2 * fourier, *(plan.config.width,) * plan.config.blocks), plan.rng)
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
        inputs = flatten(x, vector, field)
        features = activation(self.chain(inputs if self.features is None else self.features(inputs)))
        return self.head(features)[:, 0] + self.projection(features, vector)
