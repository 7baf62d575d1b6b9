"""Players on the longest waves of a periodic line, whose networks know its symmetries and its nonlinearity.

A sample is the vector of the amplitudes of the K longest waves, K real parts and then K imaginary parts, each in units
of its own spread (`gan.normalizer.WaveNormalizer`). A dissipative solver makes the short waves follow the long ones
within a short time, so that a generator may leave them to it.

A shift of the field by s turns the amplitude of wave k by exp(-2 pi i k s / L). Before a network sees a sample, the
sample is shifted so that its strongest wave is real and positive, so that what the network finds does not depend on a
shift. Beside the amplitudes stand those of the squared field, which a quadratic equation couples them to.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from gan.networks.blueprint import Blueprint, Training
from gan.networks.conditions import Projection
from gan.networks.layers import Dense, flatten
from gan.networks.residual_mlp import SMALL, ResidualBody
from gan.normalizer import WaveNormalizer


def turned(x: Float[Array, "batch numbers"], angle: Float[Array, "batch 1"]) -> Float[Array, "batch numbers"]:
    """Return amplitudes multiplied by exp(i k angle), wave by wave: the fields shifted."""
    half = x.shape[-1] // 2
    phase = angle * jnp.arange(1, half + 1)
    cosine, sine, real, imaginary = jnp.cos(phase), jnp.sin(phase), x[:, :half], x[:, half:]
    return jnp.concatenate([real * cosine - imaginary * sine, real * sine + imaginary * cosine], axis=-1)


class WaveFeatures:
    """Amplitudes in the frame of the strongest wave, beside those of the squared field.

    Args:
        normalizer: of the fields; has the spread of every wave, and of every wave of the squared fields.
    """

    def __init__(self, normalizer: WaveNormalizer):
        spread, square_spread = np.asarray(normalizer.std), np.asarray(normalizer.square_std)
        count, points = len(spread), 4 * len(spread)
        self.size = 4 * count
        self.frame = int(np.argmax(spread)) + 1
        angle = 2 * np.pi * np.outer(np.arange(1, count + 1), np.arange(points)) / points
        self.to_grid = 2 * np.concatenate([spread[:, None] * np.cos(angle), -spread[:, None] * np.sin(angle)])
        self.from_grid = np.concatenate([np.cos(angle), -np.sin(angle)]).T / points / np.tile(square_spread, 2)

    def __call__(self, x: Float[Array, "batch numbers"]) -> tuple[Float[Array, "batch size"], Float[Array, "batch 1"]]:
        """Return what a network sees, and the angle by which each sample was turned."""
        half = x.shape[-1] // 2
        k = self.frame - 1
        angle = -jnp.arctan2(x[:, half + k], x[:, k])[:, None] / self.frame
        x = turned(x, angle)
        field = x @ jnp.asarray(self.to_grid, x.dtype)
        return jnp.concatenate([x, field**2 @ jnp.asarray(self.from_grid, x.dtype)], axis=-1), angle


def _normalizer(plan: Blueprint) -> WaveNormalizer:
    if not isinstance(plan.normalizer, WaveNormalizer) or plan.normalizer.waves != plan.config.waves:
        raise ValueError(f"network.waves = {plan.config.waves} needs a normaliser of as many waves.")
    return plan.normalizer


class WaveGenerator(nnx.Module):
    """Latent (and condition) to amplitudes; by flow matching, amplitudes to a velocity that turns with them."""

    def __init__(self, plan: Blueprint):
        normalizer = _normalizer(plan)
        inputs, self.seen = math.prod(plan.latent), None
        if plan.velocity:
            self.seen = WaveFeatures(normalizer)
            inputs = self.seen.size
        self.body = ResidualBody(
            inputs + plan.vector + plan.field_numbers, plan.config.width, plan.config.blocks, plan.rng
        )
        self.head = Dense(plan.config.width, plan.channels, plan.rng, SMALL)

    def __call__(
        self,
        latent: Float[Array, " batch *latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch numbers"]:
        """Return a batch of amplitudes, or of their velocities."""
        if self.seen is not None:
            x, angle = self.seen(latent)
            return turned(self.head(self.body(flatten(x, vector, field))), -angle)
        made = self.head(self.body(flatten(latent, vector, field)))
        # With one random number for each amplitude the network begins as the Gaussian field of the data's spectrum.
        return latent + made if latent.shape == made.shape else made


class WaveDiscriminator(nnx.Module):
    """Amplitudes (and condition) to one logit per sample."""

    def __init__(self, plan: Blueprint):
        normalizer = _normalizer(plan)
        self.seen = WaveFeatures(normalizer)
        inputs = self.seen.size + plan.vector + plan.field_numbers
        self.body = ResidualBody(inputs, plan.config.width, plan.config.blocks, plan.rng)
        self.head = Dense(plan.config.width, 1, plan.rng)
        self.projection = Projection(plan.config.width, plan)

    def __call__(
        self,
        x: Float[Array, "batch numbers"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, " batch"]:
        """Return the logits of a batch."""
        features = self.body(flatten(self.seen(x)[0], vector, field))
        return self.head(features)[:, 0] + self.projection(features, vector)
