"""Terms of the generator's loss beside the adversarial one: physics penalties and the fair ensemble score.

A penalty is a function ``(samples, condition) -> scalar`` in physical units with a weight and a schedule;
it is how an equation reaches the generator without this wing knowing any. The scalar must be a mean over
the batch (devices average it). Samples that the solver could not advance arrive as the data's mean field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float


@runtime_checkable
class Schedule(Protocol):
    """Progress of the training in [0, 1] -> factor of a weight."""

    def __call__(self, progress: Array, /) -> Any:
        """Return the factor."""


class Penalty(NamedTuple):
    """A term of the generator's loss.

    Attributes:
        function: (samples, condition) -> scalar, a mean over the batch; physical units.
        weight: factor of the term in the loss, in the inverse unit of the term.
        schedule: progress of the training in [0, 1] -> factor of the weight; ``None`` keeps it constant.
        balanced: whether the weight is the norm of the term's gradient as a share of the adversarial gradient's, at
            every update; the term's own unit then does not matter (compare Wang et al. 2021, arXiv:2001.04536).
    """

    function: Callable[[Any, Any], Any]
    weight: float
    schedule: Schedule | None = None
    balanced: bool = False

    def factor(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Return weight times schedule at this progress of the training."""
        scheduled = 1.0 if self.schedule is None else self.schedule(progress)
        return jnp.asarray(self.weight * scheduled, jnp.float32)


class LinearRamp(NamedTuple):
    """A schedule that goes linearly from ``low`` to ``high`` between two points of the training."""

    begin: float
    end: float
    low: float = 0.0
    high: float = 1.0

    def __call__(self, progress: Float[Array, ""]) -> Float[Array, ""]:
        """Return the factor at this progress in [0, 1]."""
        if self.end <= self.begin:
            return jnp.where(progress >= self.begin, self.high, self.low)
        share = jnp.clip((progress - self.begin) / (self.end - self.begin), 0.0, 1.0)
        return self.low + (self.high - self.low) * share


def transport_cost(
    samples: Float[Array, " batch *shape"], latent: Float[Array, " batch *shape"], weight: Float[Array, " batch"]
) -> Float[Array, ""]:
    """Return E w |G(z) - z|^2 per number, of normalised samples and latents of their shape.

    Among all maps from the latent's distribution to the data's it prefers the one that moves least (Brenier), which a
    game alone leaves open: with a weight that decays it picks a map and holds it still (Lin et al. 2025,
    adversarial flow models, arXiv:2511.22475).
    """
    return jnp.mean(weight * jnp.mean(jnp.square(samples - latent), axis=tuple(range(1, samples.ndim))))


def fair_ensemble_score(
    draws: Float[Array, "draws batch *shape"],
    truth: Float[Array, " batch *shape"],
    weight: Float[Array, "draws batch"],
) -> Float[Array, ""]:
    """Return the fair continuous ranked probability score of m draws per condition, averaged over points.

    CRPS = 1/m sum_i |x_i - y| - 1/(2 m (m-1)) sum_ij |x_i - x_j|, pointwise, unbiased for any m >= 2
    (Ferro 2014). Lower is better and it is smallest in expectation when draws and truth share their
    distribution, so it works against the small spread of conditional generators. A draw with weight 0 takes its whole
    condition out of the mean.

    Args:
        draws: samples, m for each condition, in the unit of the score.
        truth: what the data hold for each condition.
        weight: 1, or 0 for a draw that the solver could not advance.
    """
    count = draws.shape[0]
    axes = tuple(range(1, truth.ndim))
    every = jnp.prod(weight, axis=0)
    error = jnp.mean(jnp.abs(draws - truth[None]), axis=0)
    spread = jnp.zeros_like(truth)
    for first in range(count):
        for second in range(first + 1, count):
            spread = spread + jnp.abs(draws[first] - draws[second])
    score = error - spread / (count * (count - 1))
    return jnp.mean(every * jnp.mean(score, axis=axes))


def fair_energy_score(samples: Float[Array, " n *shape"], data: Float[Array, " m *shape"]) -> Float[Array, ""]:
    """Return the fair energy score of a set of samples against a set of data, per root of the count of numbers.

    ES = mean_ij |x_i - y_j| - 1/2 mean_(i != j) |x_i - x_j| with the Euclidean norm over a whole sample (Gneiting and
    Raftery 2007, section 4.2; fair as in Ferro 2014). In expectation it is smallest where the samples have the joint
    distribution of the data, the dependence between their numbers included.

    Args:
        samples: two or more, in the unit of the score.
        data: one or more.

    Example:
        >>> import jax.numpy as jnp
        >>> float(fair_energy_score(jnp.array([[0.0], [2.0]]), jnp.array([[1.0]])))
        0.0
    """
    x, y = samples.reshape(len(samples), -1), data.reshape(len(data), -1)
    own = jnp.sum(_distances(x, x) * (1.0 - jnp.eye(len(x)))) / (len(x) * (len(x) - 1))
    return (jnp.mean(_distances(x, y)) - 0.5 * own) / jnp.sqrt(float(x.shape[1]))


def _distances(x: Float[Array, "n k"], y: Float[Array, "m k"]) -> Float[Array, "n m"]:
    """Euclidean distances of all pairs, with a gradient of zero where two are equal."""
    squared = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None, :] - 2.0 * x @ y.T
    apart = squared > 1e-6 * (1.0 + jnp.sum(x**2, axis=1)[:, None])
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1.0)), 0.0)
