"""Players on the longest waves of a periodic grid, whose networks know its shifts and a quadratic nonlinearity.

A sample is the vector of the amplitudes of the K longest waves, K real parts and then K imaginary parts, each in units
of its own spread (`gan.normalizer.WaveNormalizer`). A dissipative solver makes the short waves follow the long ones
within a short time, so that a generator may leave them to it.

A shift of the field by s turns the amplitude of wave vector k by exp(-i k s). Before a network sees a sample, the
sample is shifted along every axis along which shifts are symmetries, so that its strongest wave is real and positive:
what the network finds then does not depend on a shift. Beside the amplitudes stand those of the squared field, which a
quadratic equation couples them to.
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
from gan.normalizer import WaveNormalizer, wave_angles


def turned(x: Float[Array, "batch numbers"], phase: Float[Array, "batch waves"]) -> Float[Array, "batch numbers"]:
    """Return amplitudes multiplied by exp(i phase), wave by wave: the fields shifted, where phase is k s."""
    half = x.shape[-1] // 2
    cosine, sine, real, imaginary = jnp.cos(phase), jnp.sin(phase), x[:, :half], x[:, half:]
    return jnp.concatenate([real * cosine - imaginary * sine, real * sine + imaginary * cosine], axis=-1)


def phases(shift: Float[Array, "batch axes"], normalizer: WaveNormalizer) -> Float[Array, "batch waves"]:
    """Return the phases by which shifts along the axes of shifts turn every wave of a normaliser."""
    along = normalizer.vectors[:, list(normalizer.shift_axes)]
    return (shift[:, None, :] * jnp.asarray(along, shift.dtype)).sum(axis=-1)


class WaveFeatures:
    """Amplitudes in the frame of the strongest waves, beside those of the squared field.

    Every sample is shifted along the axes of shifts so that its frame waves are real and positive: the strongest wave
    that changes along them, and for further axes the strongest ones whose vectors are independent of it.

    Args:
        normalizer: of the fields; has the spread of every wave, and of every wave of the squared fields.
    """

    def __init__(self, normalizer: WaveNormalizer):
        spread, square_spread = np.asarray(normalizer.std), np.asarray(normalizer.square_std)
        vectors, axes = normalizer.vectors, len(normalizer.points)
        self.normalizer, self.size = normalizer, 4 * len(spread)
        self.offset = np.asarray(normalizer.offset)
        along = vectors[:, list(normalizer.shift_axes)]
        self.frame: list[int] = []
        for wave in np.argsort(-spread, kind="stable"):
            chosen = along[[*self.frame, wave]]
            if np.linalg.matrix_rank(chosen) == len(chosen):
                self.frame.append(int(wave))
        # From the phases of the frame waves to the shift that makes them 0.
        self.to_shift = np.linalg.inv(along[self.frame]) if self.frame else np.zeros((0, 0))
        angle = wave_angles(vectors, (4 * normalizer.waves,) * axes)
        self.to_grid = 2 * np.concatenate([spread[:, None] * np.cos(angle), -spread[:, None] * np.sin(angle)])
        back = np.concatenate([np.cos(angle), -np.sin(angle)]).T
        self.from_grid = back / angle.shape[1] / np.tile(square_spread, 2)

    def shifts(self, x: Float[Array, "batch numbers"]) -> Float[Array, "batch axes"]:
        """Return the shift along every axis of shifts, as an angle, that brings each sample into its frame."""
        half = x.shape[-1] // 2
        complete = x + jnp.asarray(self.offset, x.dtype)
        frame = jnp.asarray(self.frame, int)
        angle = -jnp.arctan2(complete[:, half + frame], complete[:, frame])
        # Sums of products in place of matrix products, which some devices round to fewer digits.
        return (angle[:, None, :] * jnp.asarray(self.to_shift, x.dtype)).sum(axis=-1)

    def __call__(
        self, x: Float[Array, "batch numbers"]
    ) -> tuple[Float[Array, "batch size"], Float[Array, "batch waves"]]:
        """Return what a network sees, and the phases by which each sample was turned."""
        phase = phases(self.shifts(x), self.normalizer)
        # Waves that have an offset are those that no shift changes.
        x = turned(x, phase)
        field = (x + jnp.asarray(self.offset, x.dtype)) @ jnp.asarray(self.to_grid, x.dtype)
        return jnp.concatenate([x, field**2 @ jnp.asarray(self.from_grid, x.dtype)], axis=-1), phase


def _normalizer(plan: Blueprint) -> WaveNormalizer:
    if not isinstance(plan.normalizer, WaveNormalizer) or plan.normalizer.waves != plan.config.waves:
        raise ValueError(f"network.waves = {plan.config.waves} needs a normaliser of as many waves.")
    return plan.normalizer


class WaveGenerator(nnx.Module):
    """Latent (and condition) to amplitudes; by flow matching, amplitudes to a velocity that turns with them."""

    def __init__(self, plan: Blueprint):
        normalizer = _normalizer(plan)
        if plan.config.short_waves <= plan.config.waves and normalizer.short is not None:
            raise ValueError(
                f"network.short_waves = {plan.config.short_waves} asks for no short waves, and the normaliser has some."
            )
        inputs, self.seen = math.prod(plan.latent), None
        if plan.velocity:
            self.seen = WaveFeatures(normalizer)
            inputs = self.seen.size
        self.body = ResidualBody(
            inputs + plan.vector + plan.field_numbers, plan.config.width, plan.config.blocks, plan.rng
        )
        self.head = Dense(plan.config.width, plan.channels, plan.rng, SMALL, last=True)

    def __call__(
        self,
        latent: Float[Array, " batch *latent"],
        vector: Float[Array, "batch vector"] | None,
        field: Float[Array, "batch *coarse k"] | None,
        training: Training | None = None,
    ) -> Float[Array, "batch numbers"]:
        """Return a batch of amplitudes, or of their velocities."""
        if self.seen is not None:
            x, phase = self.seen(latent)
            return turned(self.head(self.body(flatten(x, vector, field))), -phase)
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
        self.head = Dense(plan.config.width, 1, plan.rng, last=True)
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
