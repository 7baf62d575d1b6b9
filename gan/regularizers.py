"""Penalties of the discriminator: R1, R2 and WGAN-GP on its gradient.

R1 = gamma/2 E |grad_x D(real)|^2 and R2 = gamma/2 E |grad_x D(fake)|^2 (Mescheder, Geiger and Nowozin 2018,
eq. 9 and 10); WGAN-GP = lambda E (|grad_x D(x)| - 1)^2 at x between a real and a fake sample (Gulrajani et
al. 2017, eq. 3). Norms are Euclidean over all of a sample's numbers, as published, and taken with respect
to **normalised** fields.

The size of gamma. A field of d numbers that is refined to 2d keeps its meaning while each partial
derivative of D halves, so the squared norm falls as 1/d. ``gamma = weight * d`` therefore keeps the
penalty, hence the smoothness asked of D as a functional of the field, the same on every grid; the
configuration holds the weight, and the published gammas grow with the resolution in the same direction.

For normalised fields d is also half the mean squared distance of two independent samples. D then rises by a logit of
order one between one sample and another. Where the data lie in small clumps far apart, D has to tell apart what is
much closer: the rule "neighbours" puts half the mean squared distance of a field to its *nearest* other field, among
1024 training fields, in the place of d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan.normalizer import SampleNormalizer

Critic = Callable[[Float[Array, " batch *shape"]], Float[Array, " batch"]]


SCALE_SAMPLES = 1024


def gamma_of(weight: float, sample_shape: tuple[int, ...]) -> float:
    """Return gamma for samples of this shape: the dimension-free weight times the count of numbers."""
    count = 1
    for size in sample_shape:
        count *= size
    return weight * count


def neighbour_scale(fields: np.ndarray, normalizer: SampleNormalizer) -> float:
    """Return half the mean squared distance of normalised fields to their nearest other one.

    Args:
        fields: (n, *shape), physical units, array or memory map; at most ``SCALE_SAMPLES`` of them, evenly spaced,
            are looked at.
        normalizer: of the fields.

    Raises:
        ValueError: fewer than two fields, or all of them the same.
    """
    chosen = fields[:: max(1, len(fields) // SCALE_SAMPLES)][:SCALE_SAMPLES]
    rows = np.asarray(normalizer.normalize(np.asarray(chosen)), np.float64).reshape(len(chosen), -1)
    squares = np.sum(rows**2, axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    scale = 0.5 * float(np.mean(np.maximum(distances.min(axis=1), 0.0))) if len(rows) > 1 else 0.0
    if not scale > 0:
        raise ValueError("game.gamma_rule = 'neighbours' needs training fields that differ: use 'dimension'.")
    return scale


def logits_and_gradient(
    critic: Critic, samples: Float[Array, " batch *shape"]
) -> tuple[Float[Array, " batch"], Float[Array, " batch *shape"]]:
    """Return D(x) and grad_x D(x) of every sample with one forward and one backward pass.

    Exact as long as the critic treats samples one by one (no batch statistics).
    """
    logits, pull = jax.vjp(critic, samples)
    (gradient,) = pull(jnp.ones_like(logits))
    return logits, gradient


def squared_norm(gradient: Float[Array, " batch *shape"]) -> Float[Array, " batch"]:
    """Return the squared Euclidean norm of each sample's gradient."""
    return jnp.sum(jnp.square(gradient), axis=tuple(range(1, gradient.ndim)))


def zero_centred(
    gradient: Float[Array, " batch *shape"], gamma: Any, weight: Float[Array, " batch"]
) -> Float[Array, ""]:
    """Return gamma/2 E w |grad|^2: R1 for gradients at data, R2 for gradients at samples."""
    return 0.5 * gamma * jnp.mean(weight * squared_norm(gradient))


def between(
    real: Float[Array, " batch *shape"], fake: Float[Array, " batch *shape"], share: Float[Array, " batch"]
) -> Float[Array, " batch *shape"]:
    """Return the points ``share * real + (1 - share) * fake`` at which WGAN-GP looks."""
    share = share.reshape(share.shape + (1,) * (real.ndim - 1))
    return share * real + (1.0 - share) * fake


def one_centred(gradient: Float[Array, " batch *shape"], weight: Float[Array, " batch"]) -> Float[Array, ""]:
    """Return E w (|grad| - 1)^2. The norm is smoothed at zero, where its own gradient would not be finite."""
    norm = jnp.sqrt(squared_norm(gradient) + 1e-12)
    return jnp.mean(weight * (norm - 1.0) ** 2)
