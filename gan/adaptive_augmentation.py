"""Adaptive augmentation of what the discriminator sees (Karras et al. 2020, arXiv:2006.06676), suited to fields.

Data and samples alike pass through random transformations, each taken with probability p for each sample: random
shifts along periodic axes and mirror images (only without field conditions, which would have to move too), a change
of amplitude by ``2^N(0, 0.2^2)``, and white noise of a random size ``|N(0, 0.1^2)|``. Because each is often left out
(p stays at or below 0.8), the generator is not taught to make them.

The probability follows from how sure the discriminator is: it rises while ``2 a - 1 > target``, a being the share of
pairs in which data are rated above samples, and falls otherwise, by ``batch / speed`` per update. This is the sign
heuristic r_t of the paper taken from pairs, because relativistic logits have no zero of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.augmentation import ArrayReflection, ArraySymmetries, transform
from gan.config import GameConfig
from gan.game import Player, Players
from gan.networks.layers import per_axis
from gan.networks.players import SampleSpec

HIGHEST = 0.8
AMPLITUDE = 0.2
NOISE = 0.1

Augment = Callable[[Array, Array, Array], Array]


def with_probability(players: Players, game: GameConfig) -> Players:
    """Return the players with the probability, at first zero, in the discriminator's state where it is wanted."""
    if game.augment_target <= 0:
        return players
    params, network_state = players.discriminator
    return players._replace(discriminator=Player(params, {**network_state, "augment": jnp.zeros((), jnp.float32)}))


def augmentation(spec: SampleSpec) -> Augment:
    """Return (normalised fields, one key per sample, probability) -> fields."""
    ndim = len(spec.grid)
    periodic = [axis for axis, rule in enumerate(per_axis(spec.padding, ndim)) if rule == "circular"]
    moving = periodic if spec.field_channels() == 0 else []
    moves = ArraySymmetries(tuple(moving), tuple(ArrayReflection(axis, (1.0,) * spec.channels) for axis in moving))

    def one(field: Array, key: Array, probability: Array) -> Array:
        keys = jax.random.split(key, 5)
        taken = jax.random.bernoulli(keys[0], probability, (3,))
        if moving:
            field = jnp.where(taken[0], transform(field, keys[1], moves, ndim), field)
        amplitude = 2.0 ** (AMPLITUDE * jax.random.normal(keys[2], (), field.dtype))
        field = field * jnp.where(taken[1], amplitude, 1.0)
        size = NOISE * jnp.abs(jax.random.normal(keys[3], (), field.dtype))
        return field + jnp.where(taken[2], size, 0.0) * jax.random.normal(keys[4], field.shape, field.dtype)

    return jax.vmap(one, in_axes=(0, 0, None))


def adapted(
    probability: Float[Array, ""], accuracy: Float[Array, ""], batch: int, game: GameConfig, axis_name: str | None
) -> Float[Array, ""]:
    """Return the probability of the next update.

    Args:
        probability: of this update.
        accuracy: share of this device's pairs in which data are rated above samples.
        batch: samples on this device.
        game: holds target and speed.
        axis_name: mapped axis of devices.
    """
    devices: Any = 1
    if axis_name is not None:
        accuracy, devices = jax.lax.pmean(accuracy, axis_name), jax.lax.psum(1, axis_name)
    step = jnp.sign(2.0 * accuracy - 1.0 - game.augment_target) * (batch * devices / game.augment_speed)
    return jax.lax.stop_gradient(jnp.clip(probability + step, 0.0, HIGHEST).astype(jnp.float32))
